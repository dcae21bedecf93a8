import type { Readable } from 'node:stream';

/** One stored object, as a listing or a read shows it. `size` is in bytes. */
export interface StoredObject {
  readonly key: string;
  readonly size: number;
  readonly modified: Date;
}

/** Part of an object: first and last byte, both included, zero-based, as in an HTTP Range. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** An object opened for reading. Whoever opens it consumes or destroys `body`. `size` is that of the whole object. */
export interface OpenObject extends StoredObject {
  readonly body: Readable;
}

/**
 * The reading half of the store. The proxy and the pages get this type and nothing more, so a write from
 * there does not compile.
 *
 * A key is a `/`-separated relative path without empty, `.` or `..` elements. What is missing is `undefined`;
 * only a store that cannot answer throws, and then always `StoreUnavailable`, so that an outage is never
 * mistaken for absence.
 */
export interface ReadStore {
  /** The whole object in memory: for small files only. */
  get(key: string): Promise<Buffer | undefined>;
  /** Size and time of an object, without its bytes. */
  stat(key: string): Promise<StoredObject | undefined>;
  /** The object as a stream, or the given part of it. A range beyond the end is the caller's fault and rejects with RangeError. */
  open(key: string, range?: ByteRange): Promise<OpenObject | undefined>;
  /**
   * Every object whose key starts with `prefix`, in ascending byte order of the keys, however many there are.
   * `after` leaves out all keys up to and including it.
   */
  list(prefix: string, options?: { after?: string }): AsyncIterable<StoredObject>;
}

/**
 * The whole store.
 *
 * When `put` returns, the object is complete, durable and visible to every reader; until then a reader sees
 * what was there before. A put that fails, or whose stream fails, leaves nothing behind. Writing a key again
 * replaces it as a whole.
 */
export interface Store extends ReadStore {
  /** Stores the bytes under the key. A stream that ends before `size` bytes, or goes on after them, is a failure. */
  put(key: string, body: Buffer | PutStream): Promise<void>;
  /** Removes the object; one that is missing is no error. */
  delete(key: string): Promise<void>;
  /** Whether the store can be written and read right now: resolves, or rejects with StoreUnavailable. */
  check(): Promise<void>;
}

/** A stream to store. `size` in bytes where it is known beforehand. */
export interface PutStream {
  readonly stream: Readable;
  readonly size?: number;
}

/** The store cannot be reached, is full, or refuses us: try again later. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}
