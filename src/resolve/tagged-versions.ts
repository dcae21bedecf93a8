import { mapInSlices } from '../async/in-slices.ts';
import type { Retractions } from '../module/retractions.ts';
import {
  canonicalVersion,
  isPseudoVersion,
  majorOf,
  matchesMajor,
  prereleaseOf,
  sortByVersion,
  type Version,
} from '../module/version.ts';
import { CallBudget } from './call-budget.ts';
import type { ModulePlace } from './place.ts';
import type { Repositories, RepositoryTag } from './repositories.ts';

/** A version, and the tag of the module that names it. */
export interface TaggedVersion {
  readonly version: Version;
  readonly tag: RepositoryTag;
}

/**
 * Returns the prefix of the module's tags before the version. It is the module's directory with a final slash, and
 * empty for the root.
 */
export function tagPrefixOf({ directory }: ModulePlace): string {
  return directory === '' ? '' : `${directory}/`;
}

/**
 * Lists the versions of a module in ascending order, as `go list -m -versions` does in direct mode (codeRepo.Versions
 * and appendIncompatibleVersions in cmd/go). They are the versions that the module's tags name. `+incompatible`
 * versions are added if the repository does not use modules yet. Retracted versions are included.
 */
export async function taggedVersions(repositories: Repositories, place: ModulePlace): Promise<TaggedVersion[]> {
  // gopkg.in itself lists tags only under the stable path.
  if (place.path.startsWith('gopkg.in/') && place.path.endsWith('-unstable')) return [];
  const prefix = tagPrefixOf(place);
  const tagged = await mapInSlices(await repositories.tags(place.project.id), (tag) => {
    const version = tag.name.slice(prefix.length);
    const isCanonical =
      tag.name.startsWith(prefix) && version !== '' && !version.includes('+') && canonicalVersion(version) === version;
    if (!isCanonical || isPseudoVersion(version)) return undefined;
    return { version: version as Version, tag, isCompatible: matchesMajor(version, place.major) };
  });
  const ascending = await sortByVersion(tagged, ({ version }) => version);
  const compatible = ascending.filter(({ isCompatible }) => isCompatible);
  if (place.directory !== '' || place.major !== '') return compatible;
  const higherMajors = ascending.filter(({ isCompatible }) => !isCompatible);
  return [...compatible, ...(await incompatible(repositories, place, compatible.at(-1), higherMajors))];
}

/**
 * Returns the highest release, or the highest pre-release if there is no release. `ascending` must be in ascending
 * order.
 */
export function highestRelease(ascending: readonly TaggedVersion[]): TaggedVersion | undefined {
  return ascending.findLast(({ version }) => prereleaseOf(version) === '') ?? ascending.at(-1);
}

/**
 * Returns the versions with higher major versions that may be used as `+incompatible`. A major version is included if
 * its latest version has no go.mod.
 */
async function incompatible(
  repositories: Repositories,
  { project }: ModulePlace,
  latestCompatible: TaggedVersion | undefined,
  higherMajors: readonly TaggedVersion[],
): Promise<TaggedVersion[]> {
  const budget = new CallBudget('reading the go.mod of each major version');
  const hasGoMod = async ({ tag }: TaggedVersion): Promise<boolean> => {
    if (!repositories.hasReadGoMod(project.id, tag.commit, '')) budget.spend();
    return (await repositories.goMod(project.id, tag.commit, '')) !== undefined;
  };
  if (higherMajors.length === 0 || (latestCompatible && (await hasGoMod(latestCompatible)))) return [];
  const latestOfMajor = new Map(higherMajors.map((tagged) => [majorOf(tagged.version), tagged]));
  const withGoMod = new Set<string>();
  for (const [major, latest] of latestOfMajor) if (await hasGoMod(latest)) withGoMod.add(major);
  return higherMajors
    .filter(({ version }) => !withGoMod.has(majorOf(version)))
    .map(({ version, tag }) => ({ version: `${version}+incompatible` as Version, tag }));
}

/**
 * Resolves to the retracted ones of `versions`. The retractions are in the go.mod of the highest release, or of the
 * highest pre-release if there is no release (codeRepo.retractedVersions in cmd/go). Without a readable go.mod, no
 * version is retracted.
 */
export async function retractedAmong(
  versions: readonly string[],
  { repositories, place, retractions, goModOf }: RetractionParts,
): Promise<ReadonlySet<string>> {
  const compatible = (await taggedVersions(repositories, place)).filter(
    ({ version }) => !version.endsWith('+incompatible'),
  );
  const highest = highestRelease(compatible);
  const gomod = highest && (await goModOf(highest));
  return gomod ? await retractions.among(versions, gomod) : new Set();
}

/** The dependencies of `retractedAmong`. */
export interface RetractionParts {
  readonly repositories: Repositories;
  readonly place: ModulePlace;
  readonly retractions: Retractions;
  /** Reads the go.mod of a version. Resolves to undefined if the version has no go.mod. */
  readonly goModOf: (tagged: TaggedVersion) => Promise<Buffer | undefined>;
}
