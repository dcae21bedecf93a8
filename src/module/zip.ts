import { Readable } from 'node:stream';
import { ZipFile } from 'yazl';
import { Refuse } from '../errors.ts';
import { hashFiles, type H1, type HashedFile } from './hash.ts';
import type { ModulePath } from './path.ts';
import type { Version } from './version.ts';

/** MaxZipFile of golang.org/x/mod/zip, in bytes: for the sum of all files, and for the zip. */
export const MAX_ZIP = 500 * 2 ** 20;
/** MaxGoMod and MaxLICENSE, in bytes. */
const MAX_SPECIAL = 16 * 2 ** 20;

/** A file on its way into a module zip. `path` is relative to the module's directory, `size` in bytes. */
export interface ZipEntry {
  readonly path: string;
  readonly size: number;
  /** Hex SHA-256 of the bytes. */
  readonly sha256: string;
  /** Gives the bytes; called once, when their turn has come. */
  readonly open: () => Readable;
}

/**
 * Writes a module zip: `output` carries its bytes while `add` is being called. Equal entries in equal order give
 * equal bytes: time and mode are fixed, since no checksum depends on them.
 */
export class ModuleZip {
  readonly output: Readable;
  readonly #zip = new ZipFile();
  readonly #prefix: string;
  readonly #level: number;
  readonly #hashes: HashedFile[] = [];
  readonly #failure: Promise<never>;
  #total = 0;

  /** `level` is that of deflate, 1 to 9. */
  constructor(path: ModulePath, version: Version, level = 6) {
    this.#prefix = `${path}@${version}/`;
    this.#level = level;
    // yazl's own type is the interface of old streams; what it makes is a PassThrough.
    this.output = this.#zip.outputStream as Readable;
    this.#failure = new Promise((_, reject) => {
      this.#zip.once('error', reject);
      this.output.once('error', reject);
      this.output.once('close', () => reject(new Error('the zip was closed before its end')));
    });
    // It is only ever awaited in a race; losing one must not count as unhandled.
    this.#failure.catch(() => undefined);
  }

  /**
   * Adds a file and resolves once its bytes are taken in, so that awaiting it keeps memory bounded. Rejects with
   * Refuse if a limit is passed, or with whatever reading or writing fails with.
   */
  async add(entry: ZipEntry): Promise<void> {
    this.#checkSize(entry);
    const name = this.#prefix + entry.path;
    this.#hashes.push({ name, sha256: entry.sha256 });
    let open: ZipEntry['open'] | undefined = entry.open;
    const taken = new Promise<void>((resolve, reject) => {
      // yazl keeps this function until the end: it must not keep the file's bytes with it.
      this.#zip.addReadStreamLazy(name, { ...FIXED, size: entry.size, compressionLevel: this.#level }, (give) => {
        const source = open?.() ?? Readable.from([]);
        open = undefined;
        source.once('error', reject).once('end', resolve);
        give(null, source);
      });
    });
    await Promise.race([taken, this.#failure]);
  }

  /** Ends the zip and returns its h1. `output` ends after it. */
  finish(): H1 {
    this.#zip.end();
    return hashFiles(this.#hashes);
  }

  #checkSize({ path, size }: ZipEntry): void {
    this.#total += size;
    if (this.#total > MAX_ZIP) throw new Refuse(`module source tree too large: the limit is ${MAX_ZIP} bytes`);
    if ((path === 'go.mod' || path === 'LICENSE') && size > MAX_SPECIAL) {
      throw new Refuse(`${path} is too large: ${size} bytes, the limit is ${MAX_SPECIAL}`);
    }
  }
}

/** Zip times are local times: midnight of 1980-01-01, their zero, whatever the time zone. */
const FIXED = { mtime: new Date(1980, 0, 1), mode: 0o100644, forceDosTimestamp: true } as const;

/** Throws Refuse if a finished zip is larger than the go command accepts. */
export function checkZipSize(bytes: number): void {
  if (bytes > MAX_ZIP) throw new Refuse(`module zip too large: ${bytes} bytes, the limit is ${MAX_ZIP}`);
}
