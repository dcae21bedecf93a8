import { Refuse, shortened, Skip } from '../errors.ts';
import type { Commit, Project } from '../gitlab/schema.ts';
import { goModOf, type GoMod } from '../module/modfile.ts';
import { parseModulePath, splitPathVersion } from '../module/path.ts';
import { checkModuleVersion, isPseudoVersion, majorOf, parseVersion, type Version } from '../module/version.ts';
import { chooseGoMod, versionDirectoryOf, type GoModFiles } from './go-mod.ts';
import { originOf } from './origin.ts';
import { joinPath } from '../module/path-elements.ts';
import { placeIn, type ModulePlace } from './place.ts';
import type { ResolvedVersion } from './resolver.ts';

/** A tag that names a module version. For example, `sub/dir/v1.2.3` names version v1.2.3 of the module in sub/dir. */
interface VersionTag {
  /** Empty for the root of the repository. */
  readonly directory: string;
  readonly version: Version;
}

/** A tag to locate, with functions that read its project and its go.mod if needed. */
export interface TagToLocate {
  readonly name: string;
  readonly commit: Commit;
  /**
   * Reads the project of the tag. `roots` are the module paths that the root of the project can have
   * (Ownership.rootsOf).
   */
  readonly owner: () => Promise<{ readonly project: Project; readonly roots: readonly string[] }>;
  /** Reads the go.mod in a directory of the commit. Resolves to undefined if the directory has no go.mod. */
  readonly readGoMod: (directory: string) => Promise<Buffer | undefined>;
}

/** The version that a tag names. */
export interface LocatedTag extends ResolvedVersion {
  /** A warning about a version that is published nevertheless. */
  readonly note: string | undefined;
}

/**
 * Finds the module version that a tag names. The module path is computed from the project. The go.mod decides only two
 * things: the major version suffix, and whether `.git` follows the project path. `.git` is necessary if the go command
 * cannot learn from GitLab which part of the path is the repository. Throws Skip if the tag is not a version or if its
 * directory has no go.mod. Throws Refuse if the go.mod contradicts the tag.
 */
export async function locateTag({ name, commit, owner, readGoMod }: TagToLocate): Promise<LocatedTag> {
  const tag = parseTag(name);
  const { directory, version } = tag;
  const major = majorOf(version);
  const isVersioned = major !== 'v0' && major !== 'v1';
  // For a tag that is not a module, at most three requests are sent, including the request for the tag. Therefore the
  // owner is read early only if there is no second go.mod to read.
  const early = isVersioned ? undefined : owner();
  early?.catch(() => undefined);
  const read = async (from: string): Promise<GoMod | undefined> => {
    const bytes = await readGoMod(from);
    return bytes && (await goModOf(bytes));
  };
  const [plain, versioned] = await Promise.all([
    read(directory),
    isVersioned ? read(joinPath(directory, major)) : undefined,
  ]);
  if (!plain && !versioned) throw new Skip(`there is no ${joinPath(directory, 'go.mod')} at this tag`);

  const { project, roots } = await (early ?? owner());
  const place = placeOf(tag, project, roots, { plain, versioned });
  const chosen = chooseGoMod(place, {
    plain,
    versioned: versionDirectoryOf(place) === undefined ? undefined : versioned,
  });
  if (!chosen.gomod) throw new Skip(`there is no go.mod at this tag`);
  const origin = originOf(place, { ...commit, ref: `refs/tags/${name}`, tag: name }, version);
  return {
    ...chosen,
    path: place.path,
    version,
    project,
    commit: commit.id,
    committedAt: commit.committedAt,
    tag: name,
    origin,
    note:
      chosen.declaredPath === place.path
        ? undefined
        : `go.mod declares ${shortened(chosen.declaredPath)}, so the version is usable only through a replace directive`,
  };
}

/** Parses a tag as a module version (codeRepo.Versions in cmd/go). Throws Skip if it is not a version. */
function parseTag(tag: string): VersionTag {
  const slash = tag.lastIndexOf('/');
  const version = parseVersion(tag.slice(slash + 1));
  if (version === undefined || version.includes('+')) {
    throw new Skip(
      `tag ${tag} is not a version: the go command accepts only full versions such as v1.2.3 or v1.2.3-pre`,
    );
  }
  if (isPseudoVersion(version)) throw new Skip(`tag ${tag} looks like a pseudo-version, which the go command ignores`);
  return { directory: slash < 0 ? '' : tag.slice(0, slash), version };
}

/**
 * Returns the place of the version under the first module path of the project that matches the version. The path
 * contains `.git` if the go.mod declares it.
 */
function placeOf(
  { directory, version }: VersionTag,
  project: Project,
  roots: readonly string[],
  files: GoModFiles,
): ModulePlace {
  const declared = new Set([files.plain, files.versioned].map((file) => file?.declaredPath));
  let problem: Error | undefined;
  for (const withoutGit of roots) {
    const withGit = `${withoutGit}.git`;
    const root = declared.has(pathAt(withGit, directory, version)) ? withGit : withoutGit;
    const path = parseModulePath(pathAt(root, directory, version));
    if (typeof path !== 'string') {
      problem ??= new Refuse(`${pathAt(root, directory, version)} is not a valid module path: ${path.reason}`);
      continue;
    }
    const mismatch = checkModuleVersion(path, version);
    if (mismatch === undefined) return placeIn(path, project, root);
    problem ??= new Skip(`${path}: ${mismatch}`);
  }
  throw problem ?? new Refuse(`project ${project.path} has no module path`);
}

function pathAt(root: string, directory: string, version: Version): string {
  const major = majorOf(version);
  const path = joinPath(root, directory);
  // The path of a project called v2, or a path such as gopkg.in/yaml.v2, already has the suffix.
  const own = splitPathVersion(root)?.major ?? '';
  if (major === 'v0' || major === 'v1' || own.startsWith('.') || (directory === '' && own === `/${major}`)) return path;
  return `${path}/${major}`;
}
