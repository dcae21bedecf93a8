import { Refuse, Skip } from '../errors.ts';
import { pseudoVersion } from '../module/pseudo.ts';
import {
  canonicalVersion,
  compareVersions,
  isPseudoVersion,
  majorOf,
  matchesMajor,
  parseVersion,
  withoutIncompatible,
  type Version,
} from '../module/version.ts';
import { checkPseudoVersion } from './check-pseudo-version.ts';
import { joinPath } from '../module/path-elements.ts';
import type { ModulePlace } from './place.ts';
import type { Repositories, RepositoryTag } from './repositories.ts';
import type { Revision } from './revision.ts';
import { tagPrefixOf } from './tagged-versions.ts';

/** What is needed to choose a version. */
export interface ChoiceParts {
  readonly repositories: Repositories;
  readonly place: ModulePlace;
  readonly revision: Revision;
  /** Returns a test for whether the module's author retracted a version. Called only if needed: it takes requests to GitLab. */
  readonly isRetracted: () => Promise<(version: string) => boolean>;
}

/**
 * The version of a revision that was found for `query`; an empty query stands for the latest commit. If the query is a full
 * version, the result is that version or an error. Otherwise it is the highest tag on the commit that is not retracted, else
 * a pseudo-version after the highest tag before the commit (codeRepo.convert in cmd/go). Throws Skip or Refuse if the
 * revision has no valid version.
 */
export async function chooseVersion(parts: ChoiceParts, query: string): Promise<Version> {
  const { repositories, place, revision } = parts;
  const requested = parseVersion(query);
  if (requested !== undefined && isPseudoVersion(requested)) {
    const version = await checkedVersion(parts, requested, requested);
    await checkPseudoVersion(repositories, place, revision, version);
    return version;
  }
  const named = revision.tag === undefined ? undefined : tagVersion(place, revision.tag);
  if (named?.isCanonical) {
    const version = await checkedVersion(parts, named.version, requested).catch(undefinedIfRejected);
    if (version !== undefined) return version;
  }
  const tags = await repositories.tags(place.project.id);
  const onCommit = tags
    .filter(({ commit }) => commit === revision.id)
    .flatMap(({ name }) => tagVersion(place, name) ?? []);
  const equivalent = query === '' ? [] : onCommit.filter(({ version }) => compareVersions(version, query) === 0);
  if (equivalent.some(({ isCanonical }) => isCanonical))
    return checkedVersion(parts, equivalent[0]?.version ?? '', requested);

  const isRetracted = await parts.isRetracted();
  const allows = async (version: string): Promise<boolean> =>
    !isRetracted(version) &&
    (matchesMajor(version, place.major) || (await mayBeIncompatible(parts, version, requested)));
  let highest: string | undefined;
  for (const { version, isCanonical } of onCommit) {
    const isHigher = isCanonical && (highest === undefined || compareVersions(highest, version) < 0);
    if (isHigher && (await allows(version))) highest = version;
  }
  if (highest !== undefined) return checkedVersion(parts, highest, requested);
  // A tag like v1.2.3+meta is not a version, since several tags can differ in metadata alone; but it can be a base.
  const base = equivalent[0]?.version ?? (await versionBefore(parts, tags, allows)) ?? '';
  const pseudo = pseudoVersion(
    place.major.slice(1).replace(/-unstable$/, ''),
    base,
    revision.committedAt,
    revision.id.slice(0, 12),
  );
  return checkedVersion(parts, pseudo, requested);
}

/**
 * The version that a tag of the module names. `isCanonical` is false for a tag with build metadata: v1.2.3+meta stands for
 * v1.2.3. Undefined if the tag names no version of the module.
 */
function tagVersion(
  place: ModulePlace,
  tag: string,
): { readonly version: string; readonly isCanonical: boolean } | undefined {
  const prefix = tagPrefixOf(place);
  // cmd/go tests the whole tag too, so a tag of a directory never counts as a pseudo-version.
  if (!tag.startsWith(prefix) || isPseudoVersion(tag)) return undefined;
  const name = tag.slice(prefix.length);
  const version = withoutIncompatible(canonicalVersion(name));
  return version === '' || !name.startsWith(version) ? undefined : { version, isCanonical: version === name };
}

/**
 * The highest version that is tagged on the commit or on an ancestor (gitRepo.RecentTag in cmd/go). A tag from which the
 * commit can be reached is younger than the commit; such tags are left out before GitLab has to compare each with the commit.
 */
async function versionBefore(
  { repositories, place, revision }: ChoiceParts,
  tags: readonly RepositoryTag[],
  allows: (version: string) => Promise<boolean>,
): Promise<string | undefined> {
  const candidates = tags
    .flatMap((tag) => {
      const named = tagVersion(place, tag.name);
      return named ? [{ tag, version: named.version }] : [];
    })
    .toSorted((a, b) => compareVersions(b.version, a.version));
  let younger: ReadonlySet<string> = new Set();
  for (const [index, { tag, version }] of candidates.entries()) {
    // In most repositories the first candidate is the result, and the younger tags need not be read.
    if (index === 1) younger = await repositories.tagsContaining(place.project.id, revision.id);
    if (tag.commit !== revision.id && younger.has(tag.name)) continue;
    if ((await allows(version)) && (await repositories.isAncestor(place.project.id, tag.commit, revision.id)))
      return version;
  }
  return undefined;
}

/**
 * The version in its full spelling, with `+incompatible` where it is needed (checkCanonical in cmd/go). `requested` is the
 * full version that the query named, if it named one. Throws Refuse if the module's path does not allow the version, and
 * Skip if it is not the requested one.
 */
async function checkedVersion(parts: ChoiceParts, version: string, requested: Version | undefined): Promise<Version> {
  const { place } = parts;
  const base = withoutIncompatible(version);
  const requestedBase = requested && withoutIncompatible(requested);
  if (requested !== undefined && requestedBase !== base) {
    throw new Skip(`${place.project.path} has no tag ${joinPath(place.directory, requested)}`);
  }
  const spelling = requested !== undefined && requestedBase === version ? requested : version;
  if (matchesMajor(base, place.major)) {
    if (spelling.endsWith('+incompatible'))
      throw new Refuse(`${majorOf(base)} is a compatible version of ${place.path}: ask for ${base}`);
    return spelling as Version;
  }
  if (await mayBeIncompatible(parts, base, requested)) return `${base}+incompatible` as Version;
  if (place.major !== '')
    throw new Refuse(`the versions of ${place.path} begin with ${place.major.slice(1)}, not with ${majorOf(base)}`);
  throw new Refuse(
    `${place.path} has a go.mod, so its versions from v2 on need a path like ${joinPath(place.path, majorOf(base))}`,
  );
}

/** Whether a version of a higher major may be used without `/vN`: only if the repository has no go.mod for that major. */
async function mayBeIncompatible(
  { repositories, place, revision }: ChoiceParts,
  version: string,
  requested: Version | undefined,
): Promise<boolean> {
  if (place.directory !== '' || place.major !== '') return false;
  if (await repositories.goMod(place.project.id, revision.id, '')) return false;
  // Old go commands did not look into vN, so a version requested as +incompatible stays valid (golang.org/issue/51324).
  if (requested?.endsWith('+incompatible')) return true;
  return (await repositories.goMod(place.project.id, revision.id, majorOf(version))) === undefined;
}

/** For `catch`: turns Skip and Refuse into undefined, and throws every other error again. */
export function undefinedIfRejected(error: unknown): undefined {
  if (error instanceof Skip || error instanceof Refuse) return undefined;
  throw error;
}
