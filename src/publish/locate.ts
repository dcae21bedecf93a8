import { Refuse, Skip } from '../errors.ts';
import { declaredPath } from '../module/modfile.ts';
import { parseModulePath, splitPathVersion, type ModulePath } from '../module/path.ts';
import { checkModuleVersion, isPseudoVersion, majorOf, parseVersion, type Version } from '../module/version.ts';

/** A tag that names a module version: `sub/dir/v1.2.3` is version v1.2.3 of the module in sub/dir. */
export interface VersionTag {
  /** Empty for the root of the repository. */
  readonly directory: string;
  readonly version: Version;
}

/** Where a version's go.mod was found, and whose it is. */
export interface LocatedModule {
  readonly path: ModulePath;
  readonly version: Version;
  /** The directory of the module in the repository: that of the tag, or its `vN` below. */
  readonly directory: string;
  /** The bytes of its go.mod. */
  readonly gomod: Buffer;
  /** What a person should know, though the version is published. */
  readonly note: string | undefined;
}

/** Reads a tag as a module version. Throws Skip if it is none. */
export function parseTag(tag: string): VersionTag {
  const slash = tag.lastIndexOf('/');
  const name = tag.slice(slash + 1);
  const version = parseVersion(name);
  if (version === undefined || version.includes('+')) {
    throw new Skip(`tag ${tag} is not a version: the go command takes v1.2.3 or v1.2.3-pre, in full`);
  }
  if (isPseudoVersion(version)) throw new Skip(`tag ${tag} looks like a pseudo-version, which the go command ignores`);
  return { directory: slash < 0 ? '' : tag.slice(0, slash), version };
}

/**
 * Finds the go.mod that makes the tag a version, by the rules of codeRepo.findDir in cmd/go: `vN/go.mod` or
 * `go.mod`, whichever claims the major version, and not both.
 *
 * `root` is the module path of the repository's root; `readGoMod` gives the bytes of the go.mod in a directory of
 * the commit. Throws Skip for a directory without go.mod, Refuse for one that contradicts the tag.
 */
export async function locateModule(
  tag: VersionTag,
  root: () => Promise<string>,
  readGoMod: (directory: string) => Promise<Buffer | undefined>,
): Promise<LocatedModule> {
  const { directory, version } = tag;
  const major = majorOf(version);
  const suffix = major === 'v0' || major === 'v1' ? '' : `/${major}`;
  const versioned = joinPath(directory, major);
  // Three questions at most, tag included, for what turns out to be no module: the path can be asked for at once only
  // where there is no second go.mod to ask for.
  const early = suffix === '' ? root() : undefined;
  early?.catch(() => undefined);
  const [here, below] = await Promise.all([readGoMod(directory), suffix === '' ? undefined : readGoMod(versioned)]);
  if (!here && !below) throw new Skip(`there is no ${joinPath(directory, 'go.mod')} at this tag`);

  const claimsHere = here !== undefined && claimsMajor(here, suffix);
  const claimsBelow = below !== undefined && claimsMajor(below, suffix);
  if (claimsHere && claimsBelow) {
    throw new Refuse(`both ${joinPath(directory, 'go.mod')} and ${versioned}/go.mod claim ${suffix}: keep one`);
  }
  if (below && !claimsBelow) {
    throw new Refuse(`${versioned}/go.mod declares ${describe(below)}, which does not end in ${suffix}`);
  }
  const gomod = below ?? here;
  if (!gomod || !(claimsHere || claimsBelow)) {
    const wanted = suffix === '' ? 'has a major version suffix' : `does not end in ${suffix}`;
    throw new Refuse(`${joinPath(directory, 'go.mod')} declares ${gomod ? describe(gomod) : 'nothing'}, which ${wanted}, while the tag says ${version}`);
  }

  const path = modulePathFor(await (early ?? root()), directory, suffix, declaredPath(gomod));
  const mismatch = checkModuleVersion(path, version);
  if (mismatch !== undefined) throw new Skip(`${path}: ${mismatch}`);
  return { path, version, directory: below ? versioned : directory, gomod, note: noteOn(path, declaredPath(gomod)) };
}

/** Whether a go.mod's declared path allows the major version (isMajor in cmd/go). `suffix` is empty or `/vN`. */
function claimsMajor(gomod: Buffer, suffix: string): boolean {
  const declared = declaredPath(gomod);
  const major = declared === '' ? undefined : splitPathVersion(declared)?.major;
  if (major === undefined) return false;
  if (suffix !== '') return major.slice(1) === suffix.slice(1);
  // An old go command took gopkg.in paths as replacements for unversioned ones; that stayed legal (golang.org/issue/34254).
  return major === '' || /^\.v[01](?:-unstable)?$/.test(major) || declared.startsWith('gopkg.in/');
}

/**
 * The computed path. go.mod has a say in one thing alone: whether `.git` follows the project, as it must where the
 * go command cannot ask GitLab for the root of the repository.
 */
function modulePathFor(root: string, directory: string, suffix: string, declared: string): ModulePath {
  const pathFrom = (start: string): string => {
    const path = joinPath(start, directory);
    // A project called vN already carries its suffix.
    return directory === '' && splitPathVersion(path)?.major === suffix ? path : path + suffix;
  };
  const withGit = pathFrom(`${root}.git`);
  const path = parseModulePath(declared === withGit ? withGit : pathFrom(root));
  if (typeof path !== 'string') throw new Refuse(`${pathFrom(root)} is not a legal module path: ${path.reason}`);
  return path;
}

function noteOn(path: ModulePath, declared: string): string | undefined {
  if (path === declared) return undefined;
  return `go.mod declares ${declared}: usable only through a replace directive`;
}

function describe(gomod: Buffer): string {
  const declared = declaredPath(gomod);
  return declared === '' ? 'no module path' : `module path ${declared}`;
}

function joinPath(directory: string, name: string): string {
  if (directory === '' || name === '') return directory + name;
  return `${directory}/${name}`;
}
