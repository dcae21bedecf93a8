import { randomUUID } from 'node:crypto';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { callbackify } from 'node:util';
import { Condition } from '../async/condition.ts';

/** Opens the bytes of a copy from `start` up to, but not including, `end`. */
export type OpenCopy = (start: number, end: number) => Promise<Readable>;

/**
 * A temporary file that any number of readers can read while it is written, each at its own speed. A slow or
 * disconnected client therefore affects neither the other clients nor the cache.
 *
 * The file is unlinked right after its creation, so that it never remains on the disk after the end of the process. It
 * is closed after its creator has called `release` and the last reader has ended, or has been handed over to a copy.
 */
export class Spool {
  readonly #file: FileHandle;
  readonly #heldBack: number;
  #bytes = 0;
  #state: 'open' | 'complete' | Error = 'open';
  #users = 1;
  /** The function of each reader that ends its use of the file. */
  readonly #readers = new Set<() => Promise<void>>();
  #openCopy: OpenCopy | undefined;
  readonly #changed = new Condition();

  private constructor(file: FileHandle, heldBack: number) {
    this.#file = file;
    this.#heldBack = heldBack;
  }

  /**
   * Creates an empty spool in a folder, which must exist. Readers get the last `heldBack` bytes only after `finish`, so
   * that no reader gets the whole content before it was checked.
   */
  static async create(folder: string, heldBack = 0): Promise<Spool> {
    const path = join(folder, `modpress-${randomUUID()}`);
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return new Spool(file, heldBack);
  }

  /** The number of bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The reason that was passed to `fail`; undefined if the content is not marked as incomplete. */
  get failure(): Error | undefined {
    return this.#state instanceof Error ? this.#state : undefined;
  }

  /** Whether the file is closed, so that it can no longer be read. */
  get closed(): boolean {
    return this.#users === 0;
  }

  /** Appends a chunk. Calls must not overlap. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await this.#file.write(chunk, done, chunk.length - done, this.#bytes);
      done += bytesWritten;
      this.#bytes += bytesWritten;
    }
    this.#changed.notifyAll();
  }

  /** Marks the content as complete. Each reader then ends after the last byte. */
  finish(): void {
    this.#state = 'complete';
    this.#changed.notifyAll();
  }

  /**
   * Marks the content as incomplete or wrong. Each reader then fails with the reason, after the last byte that is not
   * held back. Has no effect after `finish`.
   */
  fail(reason: unknown): void {
    if (this.#state !== 'open') return;
    this.#state = reason instanceof Error ? reason : new Error(String(reason));
    this.#changed.notifyAll();
  }

  /** Reads up to `length` bytes at `position`. Returns fewer bytes only if fewer have been written so far. */
  async peek(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.#bytes - position)));
    for (let done = 0; done < buffer.length;) {
      done += await this.#read(buffer, done, position + done);
    }
    return buffer;
  }

  /**
   * Returns a stream of the bytes from `start` up to, but not including, `end`. The default is the whole content,
   * including bytes that are not written yet. The caller has to read the stream to its end or destroy it.
   */
  reader(start = 0, end = Number.POSITIVE_INFINITY): Readable {
    const endUse = this.#openCopy ? async () => undefined : this.#use();
    let position = start;
    let copy: Readable | undefined;
    let copied: AsyncIterator<Buffer> | undefined;
    const fromCopy = async (openCopy: OpenCopy): Promise<Buffer> => {
      if (!copied) {
        copy = await openCopy(position, Math.min(end, this.#bytes));
        if (reader.destroyed) copy.destroy();
        copied = copy[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      }
      const { done, value } = await copied.next();
      if (done === true) throw new Error('the copy of a temporary file is shorter than the file');
      return value;
    };
    const readSome = async (length: number): Promise<Buffer> => {
      const buffer = Buffer.allocUnsafe(length);
      return buffer.subarray(0, await this.#read(buffer, 0, position));
    };
    const next = async (size: number): Promise<Buffer | null> => {
      if (position === end) return null;
      while (position >= this.#readable && this.#state === 'open') await this.#changed.wait();
      if (position >= this.#readable && this.#state instanceof Error) throw this.#state;
      const length = Math.min(size, end - position, this.#readable - position);
      if (length === 0) return null;
      const chunk = await (this.#openCopy ? fromCopy(this.#openCopy) : readSome(length));
      position += chunk.length;
      return chunk;
    };
    const reader = new Readable({
      highWaterMark: 256 * 1024,
      read(size) {
        next(size).then(
          (chunk) => this.push(chunk),
          (error: unknown) => this.destroy(error as Error),
        );
      },
      destroy: (error, done) => {
        copy?.destroy();
        callbackify(endUse)((failure) => done(error ?? failure));
      },
    });
    // A reader whose client has just left has no listener. Its error must not end the process.
    reader.on('error', () => undefined);
    return reader;
  }

  /**
   * Lets all readers read the rest from a copy of the complete content. A reader opens the copy when it needs its next
   * bytes. Therefore a stalled reader keeps neither the temporary file nor the copy open. Resolves when the readers no
   * longer use the file.
   */
  async handOver(openCopy: OpenCopy): Promise<void> {
    this.#openCopy = openCopy;
    await Promise.all([...this.#readers].map((endUse) => endUse()));
  }

  /** Begins a use of the file. Returns a function that ends it, whose second call has no effect. */
  #use(): () => Promise<void> {
    this.#users++;
    const endUse = async (): Promise<void> => {
      if (this.#readers.delete(endUse)) await this.release();
    };
    this.#readers.add(endUse);
    return endUse;
  }

  /** Reads written bytes into the buffer from `offset` on. Resolves to their number, which is at least one. */
  async #read(buffer: Buffer, offset: number, position: number): Promise<number> {
    const { bytesRead } = await this.#file.read(buffer, offset, buffer.length - offset, position);
    if (bytesRead === 0) throw new Error('a temporary file is shorter than the data that was written to it');
    return bytesRead;
  }

  /** The number of bytes that readers may have. */
  get #readable(): number {
    return this.#state === 'complete' ? this.#bytes : Math.max(0, this.#bytes - this.#heldBack);
  }

  /**
   * Ends one use of the file. The creator must call this once. Each reader calls it automatically at its end. The last
   * call closes the file.
   */
  async release(): Promise<void> {
    this.#users--;
    if (this.#users === 0) await this.#file.close();
  }
}
