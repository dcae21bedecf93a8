import { compareBytes } from './hash.ts';
import { checkFilePath } from './path.ts';
import { foldCase } from './unicode.ts';

/**
 * Decides which files of a tree belong in a module zip: checkFiles of golang.org/x/mod/zip, for names alone. The zip writer
 * checks sizes, where it sees the bytes.
 */

/** A file in the module's directory; its path is relative to that directory. Git submodules are left out beforehand. */
export interface TreeFile {
  readonly path: string;
  readonly kind: 'file' | 'symlink';
}

/** A file that makes the whole module illegal, and the reason. */
export interface InvalidFile {
  readonly path: string;
  readonly reason: string;
}

/** The result: the files of the zip in byte order of their paths. The module is illegal if `invalid` is not empty. */
export interface CheckedFiles<T extends TreeFile> {
  readonly included: readonly T[];
  readonly invalid: readonly InvalidFile[];
}

/**
 * Divides the files of a module into those that belong in its zip and those that make it illegal. Vendored files, nested
 * modules and symlinks are left out and not reported. `isGo124` is true if the root go.mod asks for go 1.24 or later
 * (`isGo124OrLater`).
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
 * Collects the files of a tree one by one, and drops those that `checkFiles` would leave out: `checkFiles` gives the same
 * result for `files()` as for the whole tree. A tree can have many more vendored files and nested modules than the module
 * has files. In git's order, which keeps the files of a directory together, they are dropped at once. In another order
 * some of them take memory until `files()` is called.
 */
export class TreeSieve<T extends TreeFile> {
  readonly #isGo124: boolean;
  readonly #nested = new Set<string>();
  readonly #kept: T[] = [];

  /** `isGo124` as for `checkFiles`. */
  constructor(isGo124: boolean) {
    this.#isGo124 = isGo124;
  }

  /** Adds the next file of the tree. */
  add(file: T): void {
    // A go.mod among vendored files changes nothing: every file in its directory is vendored too.
    if (isVendored(file.path, this.#isGo124) || isInside(file.path, this.#nested)) return;
    const directory = nestedModule(file);
    if (directory === undefined) {
      this.#kept.push(file);
      return;
    }
    this.#nested.add(directory);
    this.#kept.length = this.#kept.findLastIndex((kept) => !kept.path.startsWith(directory)) + 1;
  }

  /** The files added so far that are neither vendored nor in a nested module, in the order in which they were added. */
  files(): T[] {
    return this.#kept.filter((file) => !isInside(file.path, this.#nested));
  }
}

/** The directories of the modules nested in this one. */
function nestedModules(files: readonly TreeFile[]): ReadonlySet<string> {
  const directories = new Set<string>();
  for (const file of files) {
    const directory = nestedModule(file);
    if (directory !== undefined) directories.add(directory);
  }
  return directories;
}

/**
 * The directory, with its final `/`, that this file turns into a nested module; undefined if it does not. A regular file
 * called go.mod does, in upper or lower case.
 */
function nestedModule({ path, kind }: TreeFile): string | undefined {
  const slash = path.lastIndexOf('/') + 1;
  // For go.mod, lower-casing equals strings.EqualFold: no character outside ASCII folds to one of its letters.
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
 * isVendoredPackage of x/mod/zip. Before go 1.24 it used a fixed offset for a `/vendor/` deeper in the path, so more files
 * counted as vendored than was intended. Modules with an older go version keep this rule, so that their checksums stay.
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
    // Go counts bytes, so the old rule has to count bytes too. The new rule only looks for a slash, for which it does not
    // matter whether bytes or characters are counted.
    if (!isGo124) return Buffer.from(path).subarray(vendor.length).includes('/');
    offset = index + vendor.length;
  }
  return path.includes('/', offset);
}

function checkGoModCase(path: string): string | undefined {
  return path !== 'go.mod' && path.toLowerCase() === 'go.mod' ? 'go.mod files must have lowercase names' : undefined;
}

/** Finds names that a file system without upper and lower case would confuse, and names of both a file and a directory. */
class CollisionChecker {
  /** The first path of each case-folded name. Two maps of strings take less memory than a map of objects. */
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
