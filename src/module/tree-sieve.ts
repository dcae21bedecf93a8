import { sortInSlices } from '../async/sort-in-slices.ts';
import { isVendored, nestedModule, type TreeFile } from './check-files.ts';
import { compareBytes } from './hash.ts';
import { LongList } from './long-list.ts';

/** The number of files after which the work may be interrupted. */
const STEP_FILES = 20;

/**
 * Collects the files of a tree one by one, and drops vendored files and files of nested modules, as checkFiles of
 * golang.org/x/mod/zip does. The sieve saves memory, because a tree can contain many more dropped files than files of
 * the module.
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
  readonly #kept = new LongList<T>();
  /** The path of the last added file, kept or not. */
  #lastPath = '';
  #isInOrder = true;

  /** `isGo124` is true if the root go.mod declares go 1.24 or later (see `isGo124OrLater`). */
  constructor(isGo124: boolean) {
    this.#isGo124 = isGo124;
  }

  /** The number of files that are kept now. */
  get size(): number {
    return this.#kept.length;
  }

  /** Adds the next file of the tree. Returns whether the file is kept. */
  add(file: T): boolean {
    this.#isInOrder &&= compareBytes(this.#lastPath, file.path) < 0;
    this.#lastPath = file.path;
    // A go.mod among vendored files can be ignored, because every file in its directory is vendored too.
    if (isVendored(file.path, this.#isGo124) || this.#isInLastNested(file.path)) return false;
    const directory = nestedModule(file);
    if (directory === undefined) {
      this.#kept.push(file);
      return true;
    }
    this.#nested.add(directory);
    this.#lastNested = directory;
    while (this.#kept.at(this.#kept.length - 1)?.path.startsWith(directory) === true) this.#kept.pop();
    return false;
  }

  /**
   * Returns the added files that are neither vendored nor in a nested module, in byte order of their paths.
   * Interruptible work, see `inSlices`.
   */
  *files(): Generator<undefined, Iterable<T>> {
    if (this.#isInOrder) return this.#kept;
    const kept = yield* sortInSlices([...this.#kept], (a, b) => compareBytes(a.path, b.path));
    // A directory ends in `/`, so in byte order it comes right before the files in it.
    const nested = (yield* sortInSlices([...this.#nested], compareBytes)).values();
    let next = nested.next();
    let outermost: string | undefined;
    const files: T[] = [];
    for (const [index, file] of kept.entries()) {
      if (index % STEP_FILES === 0) yield;
      for (; next.done !== true && compareBytes(next.value, file.path) < 0; next = nested.next())
        if (outermost === undefined || !next.value.startsWith(outermost)) outermost = next.value;
      if (outermost === undefined || !file.path.startsWith(outermost)) files.push(file);
    }
    return files;
  }

  #isInLastNested(path: string): boolean {
    return this.#lastNested !== undefined && path.startsWith(this.#lastNested);
  }
}
