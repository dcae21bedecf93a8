import { randomUUID } from 'node:crypto';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { callbackify } from 'node:util';
import { Condition } from '../async/condition.ts';

/**
 * A temporary file which any number of readers follow while it is being written, each at its own speed. So a slow
 * client holds up neither the others nor the cache, and one that goes away disturbs nobody.
 *
 * The file has no name from the start, so nothing is left behind however the process ends. It is closed when its
 * maker has called `release` and the last reader is done.
 */
export class Spool {
  readonly #file: FileHandle;
  #bytes = 0;
  #end: 'open' | 'complete' | Error = 'open';
  #users = 1;
  readonly #turn = new Condition();

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Makes an empty one in the folder, which has to exist. */
  static async create(folder: string): Promise<Spool> {
    const path = join(folder, `modpress-${randomUUID()}`);
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return new Spool(file);
  }

  /** How many bytes are written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Why it will never be complete, once that is so. */
  get failure(): Error | undefined {
    return this.#end instanceof Error ? this.#end : undefined;
  }

  /** Whether it has been closed, so that nobody can read it any more. */
  get closed(): boolean {
    return this.#users === 0;
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await this.#file.write(chunk, done, chunk.length - done, this.#bytes);
      done += bytesWritten;
      this.#bytes += bytesWritten;
    }
    this.#turn.notifyAll();
  }

  /** The content is complete: readers end when they have read it. */
  finish(): void {
    this.#end = 'complete';
    this.#turn.notifyAll();
  }

  /** It will never be complete: readers fail with the reason once they have read what there is. Nothing happens after `finish`. */
  fail(reason: unknown): void {
    if (this.#end !== 'open') return;
    this.#end = reason instanceof Error ? reason : new Error(String(reason));
    this.#turn.notifyAll();
  }

  /** Bytes already written, from `position` on; fewer than `length` only at the end of what is written. */
  async peek(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.#bytes - position)));
    for (let done = 0; done < buffer.length;) {
      const { bytesRead } = await this.#file.read(buffer, done, buffer.length - done, position + done);
      if (bytesRead === 0) throw new Error('a temporary file lost its end');
      done += bytesRead;
    }
    return buffer;
  }

  /**
   * The content from `start` to before `end`, positions in bytes: by default all of it, what is yet to be written included. Has
   * to be read to its end or destroyed.
   */
  reader(start = 0, end = Number.POSITIVE_INFINITY): Readable {
    this.#users++;
    let position = start;
    const next = async (size: number): Promise<Buffer | null> => {
      if (position === end) return null;
      while (position === this.#bytes && this.#end === 'open') await this.#turn.wait();
      if (position === this.#bytes && this.#end instanceof Error) throw this.#end;
      const chunk = await this.peek(position, Math.min(size, end - position));
      position += chunk.length;
      return chunk.length === 0 ? null : chunk;
    };
    const release = callbackify(() => this.release());
    return new Readable({
      highWaterMark: 256 * 1024,
      read(size) {
        next(size).then(
          (chunk) => this.push(chunk),
          (error: unknown) => this.destroy(error as Error),
        );
      },
      destroy: (error, done) => release((failure) => done(error ?? failure)),
    });
  }

  /** Takes back what `create` or `reader` gave; the last one closes the file. */
  async release(): Promise<void> {
    this.#users--;
    if (this.#users === 0) await this.#file.close();
  }
}
