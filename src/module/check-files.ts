import { compareBytes } from './hash.ts';
import { NameCollisions } from './name-collisions.ts';
import { checkFilePath } from './path.ts';

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
  const checker = new FileChecker();
  const included: T[] = [];
  const invalid: InvalidFile[] = [];
  for (const file of files.toSorted((a, b) => compareBytes(a.path, b.path))) {
    if (isVendored(file.path, isGo124) || isInside(file.path, nested)) continue;
    const verdict = checker.add(file);
    if (verdict === 'included') included.push(file);
    else if (verdict !== 'omitted') invalid.push({ path: file.path, reason: verdict.invalid });
  }
  return { included, invalid };
}

/** What becomes of a file: it is in the zip, it is not in the zip, or it makes the module invalid. */
type Verdict = 'included' | 'omitted' | { readonly invalid: string };

/**
 * Checks the files of a module that are neither vendored nor in a nested module. The files must be added one by one, in
 * byte order of their paths.
 */
export class FileChecker {
  readonly #names = new NameCollisions();

  /** Adds the next file, and returns what becomes of it. */
  add({ path, kind }: TreeFile): Verdict {
    if (path === '.hg_archival.txt') return 'omitted';
    const invalid = checkFilePath(path) ?? checkGoModCase(path) ?? this.#names.add(path);
    if (invalid !== undefined) return { invalid };
    return kind === 'file' ? 'included' : 'omitted';
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
export function nestedModule({ path, kind }: TreeFile): string | undefined {
  const slash = path.lastIndexOf('/') + 1;
  // For the name go.mod, `toLowerCase` is equivalent to strings.EqualFold: no character outside ASCII folds to one of
  // its letters.
  return slash > 0 && kind === 'file' && path.slice(slash).toLowerCase() === 'go.mod'
    ? path.slice(0, slash)
    : undefined;
}

export function isInside(path: string, directories: ReadonlySet<string>): boolean {
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
export function isVendored(path: string, isGo124: boolean): boolean {
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
