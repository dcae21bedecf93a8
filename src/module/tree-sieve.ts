import { isInside, isVendored, nestedModule, type TreeFile } from './check-files.ts';
import { compareBytes } from './hash.ts';

/**
 * Collects the files of a tree one by one, and drops vendored files and files of nested modules. `checkFiles` returns
 * the same result for `files` as for the whole tree. The sieve saves memory, because a tree can contain many more
 * dropped files than files of the module.
 *
 * The files should be added in git's order, which is the byte order of their paths and keeps the files of a directory
 * together. In this order, the files of a nested module are dropped once its go.mod is added. In another order, some of
 * them stay in memory until `files` is called.
 */
export class TreeSieve<T extends TreeFile> {
  readonly #isGo124: boolean;
  readonly #nested = new Set<string>();
  /** The directory of the last nested module. In git's order, the next files can only be in this nested module. */
  #lastNested: string | undefined;
  readonly #kept: T[] = [];
  /** The path of the last added file, kept or not. */
  #lastPath = '';
  #isInOrder = true;

  /** `isGo124` has the same meaning as in `checkFiles`. */
  constructor(isGo124: boolean) {
    this.#isGo124 = isGo124;
  }

  /** The number of files that are kept now. */
  get size(): number {
    return this.#kept.length;
  }

  /**
   * Adds the next file of the tree. `onDrop` is called with each file that was kept before and is dropped now. Returns
   * whether the file is kept.
   */
  add(file: T, onDrop?: (dropped: T) => void): boolean {
    this.#isInOrder &&= compareBytes(this.#lastPath, file.path) < 0;
    this.#lastPath = file.path;
    // A go.mod among vendored files can be ignored, because every file in its directory is vendored too.
    if (isVendored(file.path, this.#isGo124) || this.#isInNested(file.path)) return false;
    const directory = nestedModule(file);
    if (directory === undefined) {
      this.#kept.push(file);
      return true;
    }
    this.#nested.add(directory);
    this.#lastNested = directory;
    for (let last = this.#kept.at(-1); last?.path.startsWith(directory) === true; last = this.#kept.at(-1)) {
      this.#kept.pop();
      onDrop?.(last);
    }
    return false;
  }

  /** Returns the added files that are neither vendored nor in a nested module, in byte order of their paths. */
  files(): readonly T[] {
    if (this.#isInOrder) return this.#kept;
    return this.#kept.filter((file) => !isInside(file.path, this.#nested)).sort((a, b) => compareBytes(a.path, b.path));
  }

  #isInNested(path: string): boolean {
    if (this.#lastNested !== undefined && path.startsWith(this.#lastNested)) return true;
    return !this.#isInOrder && isInside(path, this.#nested);
  }
}
