import { statfs } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { BlobId } from '../gitlab/schema.ts';
import { Spool } from '../io/spool.ts';
import type { HashedFile } from './hashed-file.ts';

/** The limits of a cache. */
export interface BlobCacheLimits {
  /** The maximum size of all blobs, in bytes. The default is 1 GiB. */
  readonly bytes?: number;
  /** The maximum number of blobs. The default is 250,000. Each blob takes about 100 bytes of memory. */
  readonly blobs?: number;
  /**
   * Resolves to the number of free bytes on the disk, by default on the disk of the folder. Called for each new
   * segment.
   */
  readonly free?: () => Promise<number>;
}

/** An open blob of `size` bytes. The caller must read `body` to its end or destroy it. */
export interface OpenBlob {
  readonly size: number;
  readonly body: Readable;
}

/** An unlinked file to which blobs are appended until it is full. */
interface Segment {
  readonly file: Spool;
  /** The place of each blob in the file, as `placeOf` encodes it. The keys come from `keyOf`. */
  readonly places: Map<string, number>;
  /**
   * Small blobs that are not yet written. `waitingBytes` is their total size. They are written together, because
   * thousands of small writes would be slower than the downloads.
   */
  readonly waiting: Buffer[];
  waitingBytes: number;
  /** The size of the segment in bytes, including the bytes that are not yet written. */
  bytes: number;
}

/** The number of segments into which the cache is divided. If the cache is full, the oldest segment is removed. */
const SEGMENTS = 16;
/** When at least this many bytes are waiting, they are written to the disk. */
const WRITE_BYTES = 2 ** 20;
/** Every blob in a segment starts before this offset, in bytes. */
const MAX_START = 2 ** 26;

/**
 * A cache on disk for the blobs of all repositories, by their git id. It removes the oldest blobs first, one segment at
 * a time. Readers of a removed segment can finish. The files are unlinked, so that nothing remains on the disk after
 * the end of the process. The cache uses at most half of the disk space that other files leave free, because zips and
 * archives are created on the same disk.
 */
export class BlobCache {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #maxBlobs: number;
  readonly #free: () => Promise<number>;
  /** The maximum size of the cache in bytes. It is computed for each new segment. */
  #room = 0;
  /** The segments, with the oldest first. Blobs are added to the last segment. */
  readonly #segments: Segment[] = [];
  /** Resolves at the end of the last change. Changes run one after the other. */
  #lastChange: Promise<unknown> = Promise.resolve();

  /** `folder` must exist. */
  constructor(folder: string, { bytes = 2 ** 30, blobs = 250_000, free = () => freeOn(folder) }: BlobCacheLimits = {}) {
    this.#folder = folder;
    this.#maxBytes = bytes;
    this.#maxBlobs = blobs;
    this.#free = free;
  }

  has(id: BlobId): boolean {
    return this.#find(keyOf(id)) !== undefined;
  }

  /** Opens a blob. Resolves to undefined if the cache does not contain the blob. */
  async open(id: BlobId): Promise<OpenBlob | undefined> {
    const key = keyOf(id);
    let found = this.#find(key);
    if (found && isUnwritten(found)) {
      const { segment } = found;
      await this.#inTurn(() => this.#write(segment));
      found = this.#find(key);
    }
    return found && { size: found.size, body: found.segment.file.reader(found.start, found.start + found.size) };
  }

  /**
   * Adds a file. Ignores a file that is larger than the whole cache. Rejects with an Error if the file does not have
   * this blob id.
   */
  async keep(id: BlobId, file: HashedFile): Promise<void> {
    const { size, content } = file;
    if (file.blob !== id) throw new Error(`the file does not have the blob id ${id}`);
    if (size > this.#maxBytes) return;
    await this.#inTurn(async () => {
      if (this.has(id)) return;
      const segment = await this.#segmentFor(size);
      const start = segment.bytes;
      if (Buffer.isBuffer(content)) {
        if (segment.waitingBytes >= WRITE_BYTES) await this.#write(segment);
        segment.waiting.push(content);
        segment.waitingBytes += size;
      } else {
        await this.#write(segment);
        await this.#copy(segment, content());
      }
      segment.bytes += size;
      segment.places.set(keyOf(id), placeOf(start, size));
    });
  }

  /** Removes all blobs. The disk space is free after the end of all readers. */
  async clear(): Promise<void> {
    await this.#inTurn(() => this.#drop(this.#segments.splice(0)));
  }

  #find(key: string): FoundBlob | undefined {
    for (const segment of this.#segments) {
      const place = segment.places.get(key);
      if (place !== undefined) return { segment, start: place % MAX_START, size: Math.floor(place / MAX_START) };
    }
    return undefined;
  }

  /** Returns a segment with enough room for a blob of `size` bytes. Removes the oldest segments if necessary. */
  async #segmentFor(size: number): Promise<Segment> {
    const last = this.#segments.at(-1);
    const isFull =
      !last ||
      last.bytes + size > Math.min(this.#room / SEGMENTS, MAX_START) ||
      last.places.size >= this.#maxBlobs / SEGMENTS;
    if (last && isFull) await this.#write(last);
    const segment = isFull
      ? { file: await Spool.create(this.#folder), places: new Map(), waiting: [], waitingBytes: 0, bytes: 0 }
      : last;
    if (isFull) this.#segments.push(segment);
    if (isFull) this.#room = Math.min(this.#maxBytes, (totalBytes(this.#segments) + (await this.#free())) / 2);
    while (
      this.#segments.length > 1 &&
      (totalBytes(this.#segments) + size > this.#room || totalBlobs(this.#segments) >= this.#maxBlobs)
    ) {
      await this.#segments.shift()?.file.release();
    }
    return segment;
  }

  async #write(segment: Segment): Promise<void> {
    segment.waitingBytes = 0;
    const bytes = Buffer.concat(segment.waiting.splice(0));
    if (bytes.length > 0) await this.#orDrop(segment, () => segment.file.write(bytes));
  }

  async #copy(segment: Segment, content: Readable): Promise<void> {
    await this.#orDrop(segment, async () => {
      for await (const chunk of content as AsyncIterable<Buffer>) await segment.file.write(chunk);
    });
  }

  /** Runs a write to a segment. Removes the segment if the write fails, because its content would be incomplete. */
  async #orDrop(segment: Segment, write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      const index = this.#segments.indexOf(segment);
      if (index >= 0) await this.#drop(this.#segments.splice(index, 1));
      throw error;
    }
  }

  async #drop(segments: readonly Segment[]): Promise<void> {
    for (const { file, waiting } of segments) {
      // A removed segment must not write its waiting bytes to the closed file. A pending `open` of one of these blobs
      // resolves to undefined.
      waiting.length = 0;
      await file.release();
    }
  }

  async #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(change, change);
    this.#lastChange = turn.catch(() => undefined);
    return await turn;
  }
}

function totalBytes(segments: readonly Segment[]): number {
  return segments.reduce((total, segment) => total + segment.bytes, 0);
}

function totalBlobs(segments: readonly Segment[]): number {
  return segments.reduce((total, segment) => total + segment.places.size, 0);
}

async function freeOn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** The segment of a blob, and its place in the file in bytes. */
interface FoundBlob {
  readonly segment: Segment;
  readonly start: number;
  readonly size: number;
}

/** Whether some of the blob's bytes are not written yet. */
function isUnwritten({ segment, start, size }: FoundBlob): boolean {
  return start + size > segment.file.bytes;
}

/** Returns the bytes of the id as a string, which takes half the memory of the hexadecimal digits. */
function keyOf(id: BlobId): string {
  return Buffer.from(id, 'hex').toString('latin1');
}

/**
 * Encodes start and size as one number. Numbers up to 2^53 are exact. Only a blob that is larger than a segment results
 * in a larger number. Such a blob starts at 0, so its number is a multiple of 2^26, which is exact too.
 */
function placeOf(start: number, size: number): number {
  return size * MAX_START + start;
}
