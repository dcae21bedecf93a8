import { compareBytes } from './hash.ts';
import { checkFilePath } from './path.ts';
import { foldCase } from './unicode.ts';

/**
 * Which files of a tree belong in a module zip: checkFiles of golang.org/x/mod/zip, on names alone. Sizes are
 * checked where the bytes are seen, by the zip writer.
 */

/** A file of the module's directory, its path relative to that directory. Submodules are left out beforehand. */
export interface TreeFile {
  readonly path: string;
  readonly kind: 'file' | 'symlink';
}

/** A file that makes the whole module illegal, and why. */
export interface InvalidFile {
  readonly path: string;
  readonly reason: string;
}

/** The verdict: `included` in byte order of the paths, or at least one fault in `invalid`. */
export interface CheckedFiles<T extends TreeFile> {
  readonly included: readonly T[];
  readonly invalid: readonly InvalidFile[];
}

/**
 * Sorts the files of a module into those that belong in its zip and those that make it illegal; vendored files,
 * nested modules and symlinks are left out silently. `vendorRule124` says whether the root go.mod asks for go 1.24
 * or later (`usesVendorRule124`).
 */
export function checkFiles<T extends TreeFile>(files: readonly T[], vendorRule124: boolean): CheckedFiles<T> {
  const nested = nestedModules(files);
  const names = new CollisionChecker();
  const included: T[] = [];
  const invalid: InvalidFile[] = [];
  for (const file of files.toSorted((a, b) => compareBytes(a.path, b.path))) {
    if (isVendored(file.path, vendorRule124) || isInside(file.path, nested) || file.path === '.hg_archival.txt')
      continue;
    const reason = checkFilePath(file.path) ?? checkGoModCase(file.path) ?? names.add(file.path);
    if (reason !== undefined) invalid.push({ path: file.path, reason });
    else if (file.kind === 'file') included.push(file);
  }
  return { included, invalid };
}

/**
 * Takes in the files of a tree one by one and holds those that `checkFiles` has to see: its verdict on `files()` is that
 * on the whole tree. Vendored files and nested modules, of which a tree may have many more than the module has files,
 * are forgotten at once if the tree comes in git's order, in which what is in a directory stands together. In
 * another order they only cost memory until `files()`.
 */
export class TreeSieve<T extends TreeFile> {
  readonly #vendorRule124: boolean;
  readonly #nested = new Set<string>();
  readonly #held: T[] = [];

  /** `vendorRule124` as for `checkFiles`. */
  constructor(vendorRule124: boolean) {
    this.#vendorRule124 = vendorRule124;
  }

  /** Takes in the next file. */
  add(file: T): void {
    // A go.mod among vendored files changes nothing: all that is in its directory is vendored as well.
    if (isVendored(file.path, this.#vendorRule124) || isInside(file.path, this.#nested)) return;
    const directory = nestedModule(file);
    if (directory === undefined) {
      this.#held.push(file);
      return;
    }
    this.#nested.add(directory);
    this.#held.length = this.#held.findLastIndex((held) => !held.path.startsWith(directory)) + 1;
  }

  /** Those of the files so far that are not vendored and in no nested module, in the order in which they came. */
  files(): T[] {
    return this.#held.filter((file) => !isInside(file.path, this.#nested));
  }
}

/** Directories of the modules below this one. */
function nestedModules(files: readonly TreeFile[]): ReadonlySet<string> {
  const directories = new Set<string>();
  for (const file of files) {
    const directory = nestedModule(file);
    if (directory !== undefined) directories.add(directory);
  }
  return directories;
}

/** The directory, with its final `/`, that a file makes a module of its own: a regular file go.mod in any case does. */
function nestedModule({ path, kind }: TreeFile): string | undefined {
  const slash = path.lastIndexOf('/') + 1;
  // strings.EqualFold and lower-casing agree on go.mod: no other letter folds to one of its.
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
 * isVendoredPackage of x/mod/zip. Before go 1.24 a fixed offset was used for a `/vendor/` deeper in the path, which
 * takes more files for vendored than meant; modules that say an older go keep that, so that their sums stay.
 */
function isVendored(path: string, vendorRule124: boolean): boolean {
  if (vendorRule124 && path === 'vendor/modules.txt') return true;
  const vendor = '/vendor/';
  let offset: number;
  if (path.startsWith('vendor/')) {
    offset = 'vendor/'.length;
  } else {
    const index = path.indexOf(vendor);
    if (index < 0) return false;
    // Go counts bytes. Beyond the first `/vendor/` only a slash is looked for, so that counting from a character
    // boundary matters for the old rule alone.
    if (!vendorRule124) return Buffer.from(path).subarray(vendor.length).includes('/');
    offset = index + vendor.length;
  }
  return path.includes('/', offset);
}

function checkGoModCase(path: string): string | undefined {
  return path !== 'go.mod' && path.toLowerCase() === 'go.mod' ? 'go.mod files must have lowercase names' : undefined;
}

/** Finds names that some file system would take for one another, and names that are both file and directory. */
class CollisionChecker {
  /** The first path of each folded name. Two maps of strings: an object for each name would cost memory. */
  readonly #files = new Map<string, string>();
  readonly #directories = new Map<string, string>();

  /** Adds a file and its directories; returns the reason if one of them collides with an earlier name. */
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
    const other = sameKind ?? different.get(fold);
    if (other === undefined) {
      same.set(fold, path);
      return undefined;
    }
    if (other !== path)
      return `case-insensitive file name collision: ${JSON.stringify(other)} and ${JSON.stringify(path)}`;
    if (sameKind === undefined) return `${JSON.stringify(path)} is both a file and a directory`;
    return isDirectory ? undefined : `multiple entries for file ${JSON.stringify(path)}`;
  }
}
