import { mapInSlices } from '../async/in-slices.ts';
import { Refuse, Skip } from '../errors.ts';
import { hasFourDigitYear, pseudoVersion } from '../module/pseudo.ts';
import {
  canonicalVersion,
  compareVersions,
  isPseudoVersion,
  majorOf,
  matchesMajor,
  parseVersion,
  sortByVersion,
  withoutIncompatible,
  type Version,
} from '../module/version.ts';
import { CallBudget } from './call-budget.ts';
import { checkPseudoVersion } from './check-pseudo-version.ts';
import { joinPath } from '../module/path-elements.ts';
import type { ModulePlace } from './place.ts';
import type { Repositories, RepositoryTag } from './repositories.ts';
import type { Revision } from './revision.ts';
import { tagPrefixOf } from './tagged-versions.ts';

/** The inputs for choosing a version. */
export interface ChoiceParts {
  readonly repositories: Repositories;
  readonly place: ModulePlace;
  readonly revision: Revision;
  /** Resolves to the retracted ones of the versions. Called only if needed, because it sends requests to GitLab. */
  readonly retractedAmong: (versions: readonly string[]) => Promise<ReadonlySet<string>>;
}

/**
 * Chooses the version of a revision that was found for `query` (codeRepo.convert in cmd/go). An empty query stands for
 * the latest commit.
 *
 * If the query is a full version, the result is that version or an error. Otherwise, the result is the highest version
 * that is tagged on the commit and not retracted. Without such a tag, the result is a pseudo-version after the highest
 * version before the commit. Throws Skip or Refuse if the revision has no valid version.
 */
export async function chooseVersion(parts: ChoiceParts, query: string): Promise<Version> {
  const { repositories, place, revision } = parts;
  const requested = parseVersion(query);
  if (requested !== undefined && isPseudoVersion(requested)) {
    const version = await checkedVersion(parts, requested, requested);
    await checkPseudoVersion(repositories, place, revision, version);
    return version;
  }
  const current = revision.tag === undefined ? undefined : tagVersion(place, revision.tag);
  if (current?.isCanonical) {
    const version = await checkedVersion(parts, current.version, requested).catch(undefinedIfRejected);
    if (version !== undefined) return version;
  }
  const tags = await repositories.tags(place.project.id);
  const onCommit = await namedVersions(
    place,
    tags.filter(({ commit }) => commit === revision.id),
  );
  const equivalent = query === '' ? [] : onCommit.filter(({ version }) => compareVersions(version, query) === 0);
  if (equivalent.some(({ isCanonical }) => isCanonical))
    return checkedVersion(parts, equivalent[0]?.version ?? '', requested);

  const named = await namedVersions(place, tags);
  const retracted = await parts.retractedAmong(named.map(({ version }) => version));
  const hasIncompatible = await hasIncompatibleVersions(parts);
  const mayAllow = ({ version }: NamedVersion): boolean =>
    !retracted.has(version) && (hasIncompatible || matchesMajor(version, place.major));
  const budget = new CallBudget('reading the go.mod of each major version');
  const allows = async (version: string): Promise<boolean> =>
    matchesMajor(version, place.major) || (await mayBeIncompatible(parts, version, requested, budget));
  let highest: string | undefined;
  for (const each of onCommit) {
    const { version, isCanonical } = each;
    const isHigher = isCanonical && (highest === undefined || compareVersions(highest, version) < 0);
    if (isHigher && mayAllow(each) && (await allows(version))) highest = version;
  }
  if (highest !== undefined) return checkedVersion(parts, highest, requested);
  // A tag such as v1.2.3+meta is not a version, because several tags can differ only in metadata. However, it can be
  // the base of a pseudo-version.
  const base = equivalent[0]?.version ?? (await versionBefore(parts, named.filter(mayAllow), allows)) ?? '';
  if (!hasFourDigitYear(revision.committedAt))
    throw new Refuse(`commit ${revision.id} has no pseudo-version, because it is dated after the year 9999`);
  const pseudo = pseudoVersion(
    place.major.slice(1).replace(/-unstable$/, ''),
    base,
    revision.committedAt,
    revision.id.slice(0, 12),
  );
  return checkedVersion(parts, pseudo, requested);
}

/** A version that a tag names. `isCanonical` is false for a tag with build metadata. */
interface NamedVersion {
  readonly version: string;
  readonly isCanonical: boolean;
  readonly tag: RepositoryTag;
}

async function namedVersions(place: ModulePlace, tags: readonly RepositoryTag[]): Promise<NamedVersion[]> {
  return await mapInSlices(tags, (tag) => {
    const named = tagVersion(place, tag.name);
    return named && { ...named, tag };
  });
}

/**
 * Returns the version that a tag names, or undefined if the tag names no version of the module. `isCanonical` is false
 * for a tag with build metadata, for example v1.2.3+meta, which stands for v1.2.3.
 */
function tagVersion(
  place: ModulePlace,
  tag: string,
): { readonly version: string; readonly isCanonical: boolean } | undefined {
  const prefix = tagPrefixOf(place);
  // As in cmd/go, the whole tag is tested, so a tag with a directory never counts as a pseudo-version.
  if (!tag.startsWith(prefix) || isPseudoVersion(tag)) return undefined;
  const name = tag.slice(prefix.length);
  const version = withoutIncompatible(canonicalVersion(name));
  return version === '' || !name.startsWith(version) ? undefined : { version, isCanonical: version === name };
}

/**
 * Returns the highest of the named versions that is tagged on the commit or on an ancestor, and that `allows` allows
 * (gitRepo.RecentTag in cmd/go). `allows` can make calls. Whether the tag is in the history is decided first, because
 * this can be known for all tags at once.
 */
async function versionBefore(
  { repositories, place, revision }: ChoiceParts,
  named: readonly NamedVersion[],
  allows: (version: string) => Promise<boolean>,
): Promise<string | undefined> {
  // Of equal versions, the first tag counts.
  const candidates = (await sortByVersion(named.toReversed(), ({ version }) => version)).toReversed();
  const found = await repositories.firstInHistory(place.project.id, revision.id, candidates, ({ version }) =>
    allows(version),
  );
  return found?.version;
}

/**
 * Returns the full form of a version, with `+incompatible` where needed (checkCanonical in cmd/go). `requested` is the
 * query if the query is a full version. Throws Refuse if the module path does not allow the version, and Skip if the
 * version is not the requested version.
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
      throw new Refuse(`${majorOf(base)} is a compatible version of ${place.path}: request ${base} instead`);
    return spelling as Version;
  }
  if (await mayBeIncompatible(parts, base, requested)) return `${base}+incompatible` as Version;
  if (place.major !== '')
    throw new Refuse(`the versions of ${place.path} begin with ${place.major.slice(1)}, not with ${majorOf(base)}`);
  throw new Refuse(
    `${place.path} has a go.mod, so its versions from v2 on need a path like ${joinPath(place.path, majorOf(base))}`,
  );
}

/** Whether the module can have versions with a higher major version without `/vN`: the repository has no go.mod. */
async function hasIncompatibleVersions({ repositories, place, revision }: ChoiceParts): Promise<boolean> {
  if (place.directory !== '' || place.major !== '') return false;
  return (await repositories.goMod(place.project.id, revision.id, '')) === undefined;
}

/**
 * Whether a version with a higher major version may be used without `/vN`. This is allowed only if the repository has
 * no go.mod for that major version. A go.mod that was not read before is a call of `budget`.
 */
async function mayBeIncompatible(
  parts: ChoiceParts,
  version: string,
  requested: Version | undefined,
  budget?: CallBudget,
): Promise<boolean> {
  if (!(await hasIncompatibleVersions(parts))) return false;
  // Old go commands did not read the directory vN, so a version that is requested as +incompatible stays valid
  // (golang.org/issue/51324).
  if (requested?.endsWith('+incompatible')) return true;
  const { repositories, place, revision } = parts;
  const versioned = [place.project.id, revision.id, majorOf(version)] as const;
  if (!repositories.hasReadGoMod(...versioned)) budget?.spend();
  return (await repositories.goMod(...versioned)) === undefined;
}

/** A handler for `catch`. Returns undefined for Skip and Refuse, and throws every other error again. */
export function undefinedIfRejected(error: unknown): undefined {
  if (error instanceof Skip || error instanceof Refuse) return undefined;
  throw error;
}
