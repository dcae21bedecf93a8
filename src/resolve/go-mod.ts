import { Refuse, Skip } from '../errors.ts';
import type { GoMod } from '../module/modfile.ts';
import { splitPathVersion } from '../module/path.ts';
import { joinPath } from '../module/path-elements.ts';
import type { ModulePlace } from './place.ts';

/** The go.mod of a version, and the directory of the module's files. */
export interface ChosenGoMod {
  /**
   * The module's directory in the repository. It is the directory of the ModulePlace, or the `vN` directory below it.
   */
  readonly directory: string;
  /**
   * The bytes of the go.mod. Undefined for a repository without go.mod, which the go command also accepts as a module.
   */
  readonly gomod: Buffer | undefined;
  /** The module path that the go.mod declares. Empty if it declares none. */
  readonly declaredPath: string;
}

/** The two go.mod files that can belong to a module. Each is undefined if the file does not exist. */
export interface GoModFiles {
  /** The go.mod in the directory that the module path names. */
  readonly plain: GoMod | undefined;
  /** The go.mod in `vN` below that directory. */
  readonly versioned: GoMod | undefined;
}

/**
 * Returns the second directory in which the go.mod of a module can be: `vN` below the module's directory. Returns
 * undefined if the module path does not end in `/vN`, or if the whole path is the root of the repository.
 */
export function versionDirectoryOf({ path, root, directory, major }: ModulePlace): string | undefined {
  return major.startsWith('/') && root !== path ? joinPath(directory, major.slice(1)) : undefined;
}

/**
 * Chooses the go.mod of a module by the rules of codeRepo.findDir in cmd/go. The result is `vN/go.mod` or `go.mod`,
 * depending on which file declares a path with the major version. Throws Skip if the module has no go.mod. Throws
 * Refuse if both files declare such a path, or if a file contradicts the module path.
 */
export function chooseGoMod(place: ModulePlace, { plain, versioned }: GoModFiles): ChosenGoMod {
  const { directory, major } = place;
  const file = joinPath(directory, 'go.mod');
  const versionDirectory = versionDirectoryOf(place);
  const plainClaims = plain !== undefined && claimsMajor(plain, major);
  if (versionDirectory !== undefined && versioned) {
    const versionedClaims = claimsMajor(versioned, major);
    if (plainClaims && versionedClaims)
      throw new Refuse(
        `both ${file} and ${versionDirectory}/go.mod declare a path that ends in ${major}: keep only one of these files`,
      );
    if (!versionedClaims)
      throw new Refuse(`${versionDirectory}/go.mod declares ${describe(versioned)}${contradiction(versioned, major)}`);
    return chosen(versionDirectory, versioned);
  }
  if (plainClaims) return chosen(directory, plain);
  if (plain) {
    throw new Refuse(
      `${file} declares ${describe(plain)}${contradiction(plain, major)}, while the module path is ${place.path}`,
    );
  }
  if (directory === '' && !major.startsWith('/')) return { directory, gomod: undefined, declaredPath: '' };
  throw new Skip(
    versionDirectory === undefined ? `there is no ${file}` : `there is neither ${file} nor ${versionDirectory}/go.mod`,
  );
}

function chosen(directory: string, { bytes, declaredPath }: GoMod): ChosenGoMod {
  return { directory, gomod: bytes, declaredPath };
}

/**
 * Whether the path that a go.mod declares allows the major version (isMajor in cmd/go). `major` is empty, `/vN` or
 * `.vN`.
 */
function claimsMajor({ declaredPath: declared }: GoMod, major: string): boolean {
  const claimed = declared === '' ? undefined : splitPathVersion(declared)?.major;
  if (claimed === undefined) return false;
  if (major !== '') return claimed.slice(1) === major.slice(1);
  // Old go commands accepted gopkg.in paths as replacements for unversioned paths. This is still allowed
  // (golang.org/issue/34254).
  return claimed === '' || /^\.v[01](?:-unstable)?$/.test(claimed) || declared.startsWith('gopkg.in/');
}

/** Describes the module path that a go.mod declares, for an error message. */
function describe({ declaredPath: declared }: GoMod): string {
  return declared === '' ? 'no module path' : `module path ${declared}`;
}

/** Describes the fault of a declared path, as a clause at the end of an error message. Empty if no path is declared. */
function contradiction({ declaredPath }: GoMod, major: string): string {
  if (declaredPath === '') return '';
  return major === '' ? ', which has a major version suffix' : `, which does not end in ${major}`;
}
