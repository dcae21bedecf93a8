import { PassThrough, type Readable } from 'node:stream';
import { Refuse } from '../../errors.ts';
import { deflate } from './deflate.ts';
import { H1Sum, type H1 } from '../hash.ts';
import type { ModulePath } from '../path.ts';
import type { Version } from '../version.ts';
import { dataDescriptor, directoryEntry, endOfDirectory, localHeader } from './format.ts';

/**
 * The maximum size of all files together, and the maximum size of the zip, in bytes (MaxZipFile of
 * golang.org/x/mod/zip).
 */
export const MAX_ZIP = 500 * 2 ** 20;
/** The maximum size of the go.mod, in bytes (MaxGoMod of golang.org/x/mod/zip). */
export const MAX_GOMOD = 16 * 2 ** 20;
/** The maximum size of the LICENSE, in bytes (MaxLICENSE of golang.org/x/mod/zip). */
export const MAX_LICENSE = 16 * 2 ** 20;

/** A file for a module zip. `path` is relative to the module's directory. `size` is in bytes. */
export interface ZipEntry {
  readonly path: string;
  readonly size: number;
  /** The hexadecimal SHA-256 of the bytes. */
  readonly sha256: string;
  /**
   * The bytes, or a function that opens a stream of the bytes. The function is called once, when the bytes are needed.
   */
  readonly content: Buffer | (() => Readable);
}

/**
 * The minimum size, in bytes, of each write to `output` except the last. Thousands of smaller writes would take longer
 * than the compression.
 */
const MIN_WRITE_BYTES = 64 * 2 ** 10;

/** The number of records of the central directory in one piece. */
const RECORDS_PER_PIECE = 1_000;

/**
 * Writes a module zip. The caller must read `output` while it calls `add`. The same entries in the same order result in
 * the same bytes. Time and mode are fixed, because no checksum depends on them.
 */
export class ModuleZip {
  readonly output: Readable;
  readonly #output = new PassThrough();
  readonly #prefix: string;
  readonly #level: number;
  readonly #h1 = new H1Sum();
  /** The records of the central directory, in pieces. They take less memory than an object for each entry. */
  readonly #directory: Buffer[] = [];
  /** The records of the last entries, which are not yet in `#directory`. */
  #lastRecords: Buffer[] = [];
  #count = 0;
  /** The bytes of the zip that are not yet written to `output`. `#pendingBytes` is their number. */
  readonly #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** The total size of all files, in bytes. */
  #total = 0;
  /** The size of the zip so far, in bytes. It includes pending bytes. */
  #written = 0;

  /** `level` is the compression level of deflate, from 1 to 9. */
  constructor(path: ModulePath, version: Version, level = 5) {
    this.#prefix = `${path}@${version}/`;
    this.#level = level;
    this.output = this.#output;
    // Without a listener, an error would end the process. The next write reports the error.
    this.#output.on('error', () => undefined);
  }

  /**
   * Adds a file. The files must be in byte order of their paths. Resolves when its bytes are written or pending. The
   * caller must wait for this before the next call, which limits the use of memory. Rejects with Refuse if a size limit is exceeded, and with the error of a failed
   * read or write.
   */
  async add(entry: ZipEntry): Promise<void> {
    this.#checkSize(entry);
    const { path, size, sha256, content } = entry;
    const name = this.#prefix + path;
    const offset = this.#written;
    const deflation = { size: 0, crc32: 0, compressedSize: 0 };
    await this.#write(localHeader(name));
    const source = Buffer.isBuffer(content) ? content : content();
    for await (const bytes of deflate(source, size, this.#level, deflation)) await this.#write(bytes);
    await this.#write(dataDescriptor(deflation));
    if (deflation.size !== size) throw new Error(`${path} has ${deflation.size} bytes instead of ${size}`);
    this.#h1.add({ name, sha256 });
    this.#lastRecords.push(directoryEntry({ name, offset, ...deflation }));
    if (++this.#count % RECORDS_PER_PIECE === 0) this.#closePiece();
  }

  /** Writes the end of the zip, ends `output`, and returns the h1. */
  finish(): H1 {
    this.#output.write(this.#takePending());
    this.#closePiece();
    let size = 0;
    for (const piece of this.#directory) {
      size += piece.length;
      this.#output.write(piece);
    }
    this.#output.end(endOfDirectory(this.#count, size, this.#written));
    return this.#h1.digest();
  }

  #closePiece(): void {
    this.#directory.push(Buffer.concat(this.#lastRecords));
    this.#lastRecords = [];
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#written += bytes.length;
    checkZipSize(this.#written);
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes < MIN_WRITE_BYTES) return;
    if (!this.#output.destroyed && this.#output.write(this.#takePending())) return;
    await writable(this.#output);
  }

  #takePending(): Buffer {
    this.#pendingBytes = 0;
    return Buffer.concat(this.#pending.splice(0));
  }

  #checkSize({ path, size }: ZipEntry): void {
    this.#total += size;
    if (this.#total > MAX_ZIP)
      throw new Refuse(`the files of the module are too large: the limit is ${MAX_ZIP} bytes in total`);
    const limit = path === 'go.mod' ? MAX_GOMOD : path === 'LICENSE' ? MAX_LICENSE : MAX_ZIP;
    if (size > limit) throw new Refuse(`${path} is too large: it has ${size} bytes, and the limit is ${limit}`);
  }
}

/** Throws Refuse if a zip is larger than the go command accepts. `bytes` is the size of the zip. */
export function checkZipSize(bytes: number): void {
  if (bytes > MAX_ZIP)
    throw new Refuse(`the module zip is too large: it has ${bytes} bytes, and the limit is ${MAX_ZIP}`);
}

/** Resolves when the stream accepts more bytes; rejects once it is closed. */
function writable(output: PassThrough): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      output.off('drain', settle).off('close', settle);
      if (output.destroyed) reject(output.errored ?? new Error('the output of the zip was closed before its end'));
      else resolve();
    };
    if (output.destroyed) settle();
    else output.once('drain', settle).once('close', settle);
  });
}
