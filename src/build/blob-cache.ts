import { statfs } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { BlobId } from '../gitlab/schema.ts';
import { Spool } from '../io/spool.ts';
import type { HashedFile } from './hashed-file.ts';

/** How much a cache holds at most. */
export interface BlobCacheLimits {
  /** 1 GiB unless given. */
  readonly bytes?: number;
  /** 250,000 unless given: about 100 bytes of memory for each. */
  readonly blobs?: number;
  /** How many bytes are free on the disk, asked for each piece; of the folder's disk unless given. */
  readonly free?: () => Promise<number>;
}

/** The bytes of a blob, `size` of them. `body` has to be read to its end or destroyed. */
export interface OpenBlob {
  readonly size: number;
  readonly body: Readable;
}

/** A file without a name that blobs are added to until it is full. */
interface Segment {
  readonly file: Spool;
  /** The place of each blob in the file, as `placeOf` writes it. */
  readonly places: Map<string, number>;
  /** Bytes that are to be written, and how many: thousands of small writes would cost more than the blobs. */
  readonly waiting: Buffer[];
  waitingBytes: number;
  /** All bytes, waiting or not. */
  bytes: number;
}

/** The oldest of so many segments goes when the limit is reached. */
const SEGMENTS = 16;
/** In bytes. */
const PORTION = 2 ** 20;
/** No place in a segment lies beyond this: only its last blob can be larger than what is left, and that begins before. */
const PLACES = 2 ** 26;

/**
 * Blobs on disk by their git id, whatever repository they are of. What was kept first goes first, in large pieces; a
 * reader of such a piece finishes. The files have no names, so nothing is left behind however the process ends. At least as
 * much as they take is left free, as long as others do not take it: zips and archives are made on the same disk.
 */
export class BlobCache {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #maxBlobs: number;
  readonly #free: () => Promise<number>;
  /** How many bytes there may be now. */
  #room = 0;
  /** Oldest first; the last one is being filled. */
  readonly #segments: Segment[] = [];
  /** One change after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** The folder has to exist. */
  constructor(folder: string, { bytes = 2 ** 30, blobs = 250_000, free = () => freeOn(folder) }: BlobCacheLimits = {}) {
    this.#folder = folder;
    this.#maxBytes = bytes;
    this.#maxBlobs = blobs;
    this.#free = free;
  }

  has(id: BlobId): boolean {
    return this.#find(keyOf(id)) !== undefined;
  }

  /** A blob, if it is here. */
  async open(id: BlobId): Promise<OpenBlob | undefined> {
    const key = keyOf(id);
    let found = this.#find(key);
    if (found && isWaiting(found)) {
      const { segment } = found;
      await this.#inTurn(() => this.#write(segment));
      found = this.#find(key);
    }
    return found && { size: found.size, body: found.segment.file.reader(found.start, found.start + found.size) };
  }

  /** Keeps a file that was taken in, under the blob id that it has to be proved to have. One that is larger than the whole cache is not kept. */
  async keep(id: BlobId, hashed: HashedFile): Promise<void> {
    const { size, content } = hashed;
    if (hashed.blob !== id) throw new Error(`these are not the bytes of blob ${id}`);
    if (size > this.#maxBytes) return;
    await this.#inTurn(async () => {
      if (this.has(id)) return;
      const segment = await this.#segmentFor(size);
      const start = segment.bytes;
      if (Buffer.isBuffer(content)) {
        if (segment.waitingBytes >= PORTION) await this.#write(segment);
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

  /** Frees the disk, once readers are done. Nothing that was kept is found any more. */
  async clear(): Promise<void> {
    await this.#inTurn(() => this.#drop(this.#segments.splice(0)));
  }

  #find(key: string): Found | undefined {
    for (const segment of this.#segments) {
      const place = segment.places.get(key);
      if (place !== undefined) return { segment, start: place % PLACES, size: Math.floor(place / PLACES) };
    }
    return undefined;
  }

  /** The segment that the next blob goes into, with room made for it. */
  async #segmentFor(size: number): Promise<Segment> {
    const last = this.#segments.at(-1);
    const isFull =
      !last ||
      last.bytes + size > Math.min(this.#room / SEGMENTS, PLACES) ||
      last.places.size >= this.#maxBlobs / SEGMENTS;
    if (last && isFull) await this.#write(last);
    const segment = isFull
      ? { file: await Spool.create(this.#folder), places: new Map(), waiting: [], waitingBytes: 0, bytes: 0 }
      : last;
    if (isFull) this.#segments.push(segment);
    const sum = (count: (one: Segment) => number): number =>
      this.#segments.reduce((total, one) => total + count(one), 0);
    if (isFull) this.#room = Math.min(this.#maxBytes, (sum((one) => one.bytes) + (await this.#free())) / 2);
    while (
      this.#segments.length > 1 &&
      (sum((one) => one.bytes) + size > this.#room || sum((one) => one.places.size) >= this.#maxBlobs)
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

  /** A segment that could not be written as a whole is none any more. */
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
      // Who is about to read one of these finds none, rather than a closed file.
      waiting.length = 0;
      await file.release();
    }
  }

  async #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(change, change);
    this.#last = turn.catch(() => undefined);
    return await turn;
  }
}

async function freeOn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Where a blob is, in bytes. */
interface Found {
  readonly segment: Segment;
  readonly start: number;
  readonly size: number;
}

/** Whether not all of its bytes are in the file yet. */
function isWaiting({ segment, start, size }: Found): boolean {
  return start + size > segment.file.bytes;
}

/** Half as long as the hex digits. */
function keyOf(id: BlobId): string {
  return Buffer.from(id, 'hex').toString('latin1');
}

/** Start and size in one number. A blob with a segment of its own starts at 0, and any multiple of 2^26 is exact. */
function placeOf(start: number, size: number): number {
  return size * PLACES + start;
}
