import { PassThrough, type Readable } from 'node:stream';
import { Refuse } from '../../errors.ts';
import { deflate } from './deflate.ts';
import { hashFiles, type H1, type FileDigest } from '../hash.ts';
import type { ModulePath } from '../path.ts';
import type { Version } from '../version.ts';
import { centralDirectory, dataDescriptor, localHeader, type WrittenEntry } from './format.ts';

/** MaxZipFile of golang.org/x/mod/zip, in bytes: the limit for the sum of all files, and for the zip. */
export const MAX_ZIP = 500 * 2 ** 20;
/** MaxGoMod of golang.org/x/mod/zip, in bytes. */
export const MAX_GOMOD = 16 * 2 ** 20;
/** MaxLICENSE of golang.org/x/mod/zip, in bytes. */
export const MAX_LICENSE = 16 * 2 ** 20;

/** A file for a module zip. `path` is relative to the module's directory, `size` is in bytes. */
export interface ZipEntry {
  readonly path: string;
  readonly size: number;
  /** Hex SHA-256 of the bytes. */
  readonly sha256: string;
  /** The bytes, or a function that opens them. It is called once, when the bytes are needed. */
  readonly content: Buffer | (() => Readable);
}

/** The smallest write to `output`, in bytes: thousands of smaller writes would take longer than the compression. */
const MIN_WRITE_BYTES = 64 * 2 ** 10;

/**
 * Writes a module zip. `output` has to be read while `add` is called. Equal entries in equal order give equal bytes: time
 * and mode are fixed, since no checksum depends on them.
 */
export class ModuleZip {
  readonly output: Readable;
  readonly #output = new PassThrough();
  readonly #prefix: string;
  readonly #level: number;
  readonly #hashes: FileDigest[] = [];
  readonly #entries: WrittenEntry[] = [];
  /** Bytes of the zip that are not yet written to `output`, and their number. */
  readonly #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Sum of the sizes of all files, in bytes. */
  #total = 0;
  /** Bytes of the zip so far, pending ones included. */
  #written = 0;

  /** `level` is the level of deflate, 1 to 9. */
  constructor(path: ModulePath, version: Version, level = 5) {
    this.#prefix = `${path}@${version}/`;
    this.#level = level;
    this.output = this.#output;
    // The next write reports the error.
    this.#output.on('error', () => undefined);
  }

  /**
   * Adds a file. Resolves once its bytes are written or pending; the next call has to wait until then, which keeps the
   * memory bounded. Rejects with Refuse if a limit is exceeded, and with the error of a failed read or write.
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
    this.#entries.push({ name, offset, ...deflation });
    this.#hashes.push({ name, sha256 });
  }

  /** Ends the zip, and with it `output`. Returns the h1. */
  finish(): H1 {
    this.#output.write(this.#takePending());
    this.#output.end(centralDirectory(this.#entries, this.#written));
    return hashFiles(this.#hashes);
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
    if (this.#total > MAX_ZIP) throw new Refuse(`module source tree too large: the limit is ${MAX_ZIP} bytes`);
    const limit = path === 'go.mod' ? MAX_GOMOD : path === 'LICENSE' ? MAX_LICENSE : MAX_ZIP;
    if (size > limit) throw new Refuse(`${path} is too large: ${size} bytes, the limit is ${limit}`);
  }
}

/** Throws Refuse if a zip is larger than the go command accepts. */
export function checkZipSize(bytes: number): void {
  if (bytes > MAX_ZIP) throw new Refuse(`module zip too large: ${bytes} bytes, the limit is ${MAX_ZIP}`);
}

/** Resolves when the stream accepts more bytes; rejects once it is closed. */
function writable(output: PassThrough): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      output.off('drain', settle).off('close', settle);
      if (output.destroyed) reject(output.errored ?? new Error('the zip was closed before its end'));
      else resolve();
    };
    if (output.destroyed) settle();
    else output.once('drain', settle).once('close', settle);
  });
}
