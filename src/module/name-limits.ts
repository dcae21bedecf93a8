import { Refuse } from '../errors.ts';
import { MAX_ZIP } from './zip/writer.ts';

/**
 * Limits that the go command cannot exceed, computed from names alone. In direct mode, it lets git write a zip of the
 * tree (gitRepo.ReadZip), of which it accepts 500 MiB (codeRepo.Zip), and then makes the module zip, of which it also
 * accepts 500 MiB. Both contain each name twice. Without these limits, a small repository could contain a tree without
 * an end, because git stores equal directories once.
 */

/** A name in a zip has a length of 16 bits. Git and archive/zip of Go refuse a longer one. */
const MAX_NAME_BYTES = 0xffff;
/** The prefix that the go command lets git add to each path. */
const GIT_PREFIX = 'prefix/';
/**
 * The least size of an entry without its name. In a zip of git, these are 30 bytes in its header, 46 in the directory,
 * and twice 9 for its time (archive-zip.c). In a zip of Go, these are 30 in its header, 46 in the directory, 16 after its
 * data, and 2 of data, because even empty data is compressed.
 */
const ENTRY_BYTES = 94;

/**
 * Counts the names in a zip that the go command makes. Throws Refuse once the go command could not download the module,
 * because a name is too long or the names alone make the zip too large.
 */
export class NameLimits {
  readonly #kind: 'tree' | 'module';
  readonly #prefixBytes: number;
  #zipBytes = 0;

  /** A zip of git, with the whole tree below the module's directory, or a module zip. */
  constructor(zip: { readonly kind: 'tree' } | { readonly kind: 'module'; readonly prefix: string }) {
    this.#kind = zip.kind;
    this.#prefixBytes = Buffer.byteLength(zip.kind === 'tree' ? GIT_PREFIX : zip.prefix);
  }

  /** The least size that a zip with these entries can have, in bytes. */
  get zipBytes(): number {
    return this.#zipBytes;
  }

  /** Counts an entry. A directory ends in a slash. */
  add(path: string): void {
    const bytes = this.#prefixBytes + Buffer.byteLength(path);
    if (bytes > MAX_NAME_BYTES) {
      throw new Refuse(`a path is too long for a zip: with ${bytes} bytes, it begins with ${path.slice(0, 100)}`);
    }
    this.#zipBytes += ENTRY_BYTES + 2 * bytes;
    if (this.#zipBytes > MAX_ZIP) {
      throw new Refuse(
        `the ${this.#kind} has too many files: their names alone take more than ${MAX_ZIP} bytes, the limit of the go command for a zip`,
      );
    }
  }
}
