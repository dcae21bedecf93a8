import { Refuse, Skip } from '../errors.ts';
import { declaredPath } from '../module/modfile.ts';
import { splitPathVersion, type ModulePath } from '../module/path.ts';
import { joinPath } from '../module/elements.ts';
import type { ModulePlace } from './place.ts';

/** Where a version's files are, and its go.mod. */
export interface FoundGoMod {
  /** The module's directory in the repository: that of the place, or its `vN` below. */
  readonly directory: string;
  /** Its bytes; undefined for a repository from before modules, which the go command takes for a module all the same. */
  readonly gomod: Buffer | undefined;
}

/** The two files that may make a module: in the directory that its path names, and in `vN` below that. */
export interface GoModFiles {
  readonly here: Buffer | undefined;
  readonly below: Buffer | undefined;
}

/** Where else than in its directory a module's go.mod may be; undefined where nowhere. */
export function versionedDirectory({ path, root, directory, major }: ModulePlace): string | undefined {
  return major.startsWith('/') && root !== path ? joinPath(directory, major.slice(1)) : undefined;
}

/**
 * Chooses the go.mod of a module, by the rules of codeRepo.findDir in cmd/go: `vN/go.mod` or `go.mod`, whichever claims
 * the major version, and not both. Throws Skip where there is none, Refuse where they contradict the path.
 */
export function chooseGoMod(place: ModulePlace, { here, below }: GoModFiles): FoundGoMod {
  const { directory, major } = place;
  const file = joinPath(directory, 'go.mod');
  const versioned = versionedDirectory(place);
  const claimsHere = here !== undefined && claimsMajor(here, major);
  if (versioned !== undefined && below) {
    const claimsBelow = claimsMajor(below, major);
    if (claimsHere && claimsBelow) throw new Refuse(`both ${file} and ${versioned}/go.mod claim ${major}: keep one`);
    if (!claimsBelow) throw new Refuse(`${versioned}/go.mod declares ${describe(below)}${contradiction(below, major)}`);
    return { directory: versioned, gomod: below };
  }
  if (claimsHere) return { directory, gomod: here };
  if (here) {
    throw new Refuse(
      `${file} declares ${describe(here)}${contradiction(here, major)}, while the module path is ${place.path}`,
    );
  }
  if (directory === '' && !major.startsWith('/')) return { directory, gomod: undefined };
  throw new Skip(versioned === undefined ? `there is no ${file}` : `there is neither ${file} nor ${versioned}/go.mod`);
}

/** The go.mod that the go command makes up for a module without one (LegacyGoMod in cmd/go). No module path needs quotes. */
export function madeUpGoMod(path: ModulePath): Buffer {
  return Buffer.from(`module ${path}\n`);
}

/** Whether a go.mod's declared path allows the major version (isMajor in cmd/go). `major` is empty, `/vN` or `.vN`. */
function claimsMajor(gomod: Buffer, major: string): boolean {
  const declared = declaredPath(gomod);
  const claimed = declared === '' ? undefined : splitPathVersion(declared)?.major;
  if (claimed === undefined) return false;
  if (major !== '') return claimed.slice(1) === major.slice(1);
  // An old go command took gopkg.in paths as replacements for unversioned ones; that stayed legal (golang.org/issue/34254).
  return claimed === '' || /^\.v[01](?:-unstable)?$/.test(claimed) || declared.startsWith('gopkg.in/');
}

function describe(gomod: Buffer): string {
  const declared = declaredPath(gomod);
  return declared === '' ? 'no module path' : `module path ${declared}`;
}

/** What is wrong with a declared path, as the rest of a sentence. */
function contradiction(gomod: Buffer, major: string): string {
  if (declaredPath(gomod) === '') return '';
  return major === '' ? ', which has a major version suffix' : `, which does not end in ${major}`;
}
