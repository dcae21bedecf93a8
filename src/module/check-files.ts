import { compareBytes } from './hash.ts';
import { checkFilePath } from './path.ts';
import { foldCase } from './unicode.ts';

/**
 * Decides which files of a tree belong in a module zip, as checkFiles of golang.org/x/mod/zip does. Only names are
 * checked here. The zip writer checks the sizes of the files.
 */

/** A file in the module's directory. `path` is relative to this directory. Git submodules must be omitted. */
export interface TreeFile {
  readonly path: string;
  readonly kind: 'file' | 'symlink';
}

/** A file that makes the whole module invalid, and the reason. */
export interface InvalidFile {
  readonly path: string;
  readonly reason: string;
}

/**
 * The result of `checkFiles`. `included` contains the files of the zip in byte order of their paths. The module is
 * invalid if `invalid` is not empty.
 */
export interface CheckedFiles<T extends TreeFile> {
  readonly included: readonly T[];
  readonly invalid: readonly InvalidFile[];
}

/**
 * Determines which files of a module belong in its zip, and which files make the module invalid. Omits vendored files,
 * files of nested modules, and symlinks with valid names. `isGo124` is true if the root go.mod declares go 1.24 or
 * later (see `isGo124OrLater`).
 */
export function checkFiles<T extends TreeFile>(files: readonly T[], isGo124: boolean): CheckedFiles<T> {
  const nested = nestedModules(files);
  const names = new CollisionChecker();
  const included: T[] = [];
  const invalid: InvalidFile[] = [];
  for (const file of files.toSorted((a, b) => compareBytes(a.path, b.path))) {
    if (isVendored(file.path, isGo124) || isInside(file.path, nested) || file.path === '.hg_archival.txt') continue;
    const reason = checkFilePath(file.path) ?? checkGoModCase(file.path) ?? names.add(file.path);
    if (reason !== undefined) invalid.push({ path: file.path, reason });
    else if (file.kind === 'file') included.push(file);
  }
  return { included, invalid };
}

/**
 * Collects the files of a tree one by one, and drops vendored files and files of nested modules. `checkFiles` returns
 * the same result for `files()` as for the whole tree. The sieve saves memory, because a tree can contain many more
 * dropped files than files of the module.
 *
 * The files should be added in git's order, which keeps the files of a directory together. In this order, the files of
 * a nested module are dropped once its go.mod is added. In another order, some of them stay in memory.
 */
export class TreeSieve<T extends TreeFile> {
  readonly #isGo124: boolean;
  readonly #nested = new Set<string>();
  readonly #kept: T[] = [];

  /** `isGo124` has the same meaning as in `checkFiles`. */
  constructor(isGo124: boolean) {
    this.#isGo124 = isGo124;
  }

  /** Adds the next file of the tree. */
  add(file: T): void {
    // A go.mod among vendored files can be ignored, because every file in its directory is vendored too.
    if (isVendored(file.path, this.#isGo124) || isInside(file.path, this.#nested)) return;
    const directory = nestedModule(file);
    if (directory === undefined) {
      this.#kept.push(file);
      return;
    }
    this.#nested.add(directory);
    this.#kept.length = this.#kept.findLastIndex((kept) => !kept.path.startsWith(directory)) + 1;
  }

  /**
   * Returns the added files that are neither vendored nor in a nested module, in the order in which they were added.
   */
  files(): T[] {
    return this.#kept.filter((file) => !isInside(file.path, this.#nested));
  }
}

/** Returns the directories of the nested modules. */
function nestedModules(files: readonly TreeFile[]): ReadonlySet<string> {
  const directories = new Set<string>();
  for (const file of files) {
    const directory = nestedModule(file);
    if (directory !== undefined) directories.add(directory);
  }
  return directories;
}

/**
 * Returns the directory of a nested module if the file is its go.mod, and otherwise undefined. The directory ends in
 * `/`. The name go.mod may be in upper or lower case. A symlink does not count.
 */
function nestedModule({ path, kind }: TreeFile): string | undefined {
  const slash = path.lastIndexOf('/') + 1;
  // For the name go.mod, `toLowerCase` is equivalent to strings.EqualFold: no character outside ASCII folds to one of
  // its letters.
  return slash > 0 && kind === 'file' && path.slice(slash).toLowerCase() === 'go.mod'
    ? path.slice(0, slash)
    : undefined;
}

function isInside(path: string, directories: ReadonlySet<string>): boolean {
  if (directories.size === 0) return false;
  for (let slash = path.lastIndexOf('/'); slash >= 0; slash = path.lastIndexOf('/', slash - 1)) {
    if (directories.has(path.slice(0, slash + 1))) return true;
    if (slash === 0) return false;
  }
  return false;
}

/**
 * Implements isVendoredPackage of x/mod/zip. Before go 1.24, that function used a fixed offset for a `/vendor/` deeper
 * in the path, so more files counted as vendored than intended. The old rule still applies to modules with an older go
 * version, so that their checksums do not change.
 */
function isVendored(path: string, isGo124: boolean): boolean {
  if (isGo124 && path === 'vendor/modules.txt') return true;
  const vendor = '/vendor/';
  let offset: number;
  if (path.startsWith('vendor/')) {
    offset = 'vendor/'.length;
  } else {
    const index = path.indexOf(vendor);
    if (index < 0) return false;
    // Go counts bytes, so the old rule has to count bytes too. The new rule only searches for a slash, so bytes and
    // characters lead to the same result.
    if (!isGo124) return Buffer.from(path).subarray(vendor.length).includes('/');
    offset = index + vendor.length;
  }
  return path.includes('/', offset);
}

function checkGoModCase(path: string): string | undefined {
  return path !== 'go.mod' && path.toLowerCase() === 'go.mod' ? 'go.mod files must have lowercase names' : undefined;
}

/** Finds names that differ only in case, and names that belong to both a file and a directory. */
class CollisionChecker {
  /** The first path for each case-folded name. Two maps of strings take less memory than a map of objects. */
  readonly #files = new Map<string, string>();
  readonly #directories = new Map<string, string>();

  /** Adds a file and its parent directories. Returns the reason if one of them collides with an earlier name. */
  add(path: string): string | undefined {
    let reason = this.#check(path, false);
    for (
      let slash = path.lastIndexOf('/');
      slash > 0 && reason === undefined;
      slash = path.lastIndexOf('/', slash - 1)
    ) {
      reason = this.#check(path.slice(0, slash), true);
    }
    return reason;
  }

  #check(path: string, isDirectory: boolean): string | undefined {
    const fold = foldCase(path);
    const [same, different] = isDirectory ? [this.#directories, this.#files] : [this.#files, this.#directories];
    const sameKind = same.get(fold);
    const earlier = sameKind ?? different.get(fold);
    if (earlier === undefined) {
      same.set(fold, path);
      return undefined;
    }
    if (earlier !== path)
      return `case-insensitive file name collision: ${JSON.stringify(earlier)} and ${JSON.stringify(path)}`;
    if (sameKind === undefined) return `${JSON.stringify(path)} is both a file and a directory`;
    return isDirectory ? undefined : `multiple entries for file ${JSON.stringify(path)}`;
  }
}
