import type { Readable } from 'node:stream';

/** A stored object, as a listing reports it. */
export interface ListedObject {
  readonly key: string;
}

/** A stored object, as a read reports it. `size` is in bytes. */
export interface StoredObject extends ListedObject {
  readonly size: number;
  readonly modified: Date;
}

/** Part of an object: its first and last byte, both included and counted from 0, as in an HTTP Range. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * An object opened for reading. The caller must consume or destroy `body`, which fails with StoreUnavailable if it does
 * not have the right number of bytes. `size` is the size of the whole object.
 */
export interface OpenObject extends StoredObject {
  readonly body: Readable;
}

/**
 * The largest object that `get` reads into memory, in bytes. A go.mod has at most 16 MiB, and the state of a sweep some
 * hundred bytes for each project.
 */
export const MAX_GET_BYTES = 64 * 2 ** 20;

/**
 * The reading half of the store. The proxy reads modules only through this type, so proxy code that writes a module
 * does not compile.
 *
 * A key is a `/`-separated relative path without empty, `.` or `..` elements. A missing object is `undefined`. Only a
 * store that cannot answer throws, and always `StoreUnavailable`, so that nobody mistakes an outage for absence.
 */
export interface ReadStore {
  /** The whole object in memory: for small files only. An object of more than MAX_GET_BYTES is StoreUnavailable. */
  get(key: string): Promise<Buffer | undefined>;
  /** Size and time of an object, without its bytes. */
  stat(key: string): Promise<StoredObject | undefined>;
  /**
   * The object as a stream, or the given part of it. A range beyond the end is a bug of the caller and rejects with
   * RangeError.
   */
  open(key: string, range?: ByteRange): Promise<OpenObject | undefined>;
  /**
   * Every object whose key starts with `prefix`, in ascending byte order of the keys, without a limit on their number.
   * With `after`, only keys that sort after it. Contains only the keys: on a disk, the size and the time would need a
   * further access for each object, and a module can have 60,000.
   */
  list(prefix: string, options?: { after?: string }): AsyncIterable<ListedObject>;
}

/**
 * The whole store.
 *
 * When `put` returns, the object is complete, durable and visible to every reader. Until then a reader sees the old
 * object, or none. A put that fails, or whose stream fails, leaves nothing behind. A second put of a key replaces the
 * whole object.
 */
export interface Store extends ReadStore {
  /** Stores the bytes under the key. Rejects if a stream does not have exactly `size` bytes. */
  put(key: string, body: Buffer | PutStream): Promise<void>;
  /** Removes the object. A missing object is no error. */
  delete(key: string): Promise<void>;
  /** Tests whether the store can be written and read now. Resolves, or rejects with StoreUnavailable. */
  check(): Promise<void>;
}

/** A stream to store. `size` is in bytes, if it is known beforehand. */
export interface PutStream {
  readonly stream: Readable;
  readonly size?: number;
}

/** The store cannot be reached, is full, or denies access. The same call may succeed later. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}
