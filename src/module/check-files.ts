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

/** What becomes of a file: it is in the zip, it is not in the zip, or it makes the module invalid. */
type Verdict = 'included' | 'omitted' | { readonly invalid: string };

/**
 * Checks the files of a module that are neither vendored nor in a nested module. The files must be added one by one, in
 * byte order of their paths.
 */
export class FileChecker {
  readonly #names = new NameCollisions();

  /** Adds the next file, and returns what becomes of it. Interruptible work, see `inSlices`. */
  *add({ path, kind }: TreeFile): Generator<undefined, Verdict> {
    if (path === '.hg_archival.txt') return 'omitted';
    const invalid = checkFilePath(path) ?? checkGoModCase(path) ?? (yield* this.#names.add(path));
    if (invalid !== undefined) return { invalid };
    return kind === 'file' ? 'included' : 'omitted';
  }
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
