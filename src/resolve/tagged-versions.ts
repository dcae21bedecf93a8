import { isRetracted, retractions } from '../module/modfile.ts';
import {
  canonicalVersion,
  compareVersions,
  isPseudoVersion,
  majorOf,
  matchesMajor,
  prereleaseOf,
  type Version,
} from '../module/version.ts';
import type { ModulePlace } from './place.ts';
import type { Repositories, RepositoryTag } from './repositories.ts';

/** A version that a tag of the module names. */
export interface TaggedVersion {
  readonly version: Version;
  readonly tag: RepositoryTag;
}

/** What stands before the version in the module's tags: its directory and a slash. */
export function tagPrefixOf({ directory }: ModulePlace): string {
  return directory === '' ? '' : `${directory}/`;
}

/**
 * The versions of a module, in ascending order, as `go list -m -versions` shows them in direct mode: those that its tags
 * name, and `+incompatible` ones where the repository has not taken up modules (codeRepo.Versions and
 * appendIncompatibleVersions in cmd/go). Retracted ones are among them.
 */
export async function taggedVersions(repositories: Repositories, place: ModulePlace): Promise<TaggedVersion[]> {
  // The real gopkg.in keeps the tags for the stable path.
  if (place.path.startsWith('gopkg.in/') && place.path.endsWith('-unstable')) return [];
  const prefix = tagPrefixOf(place);
  const found = (await repositories.tags(place.project.id)).flatMap((tag) => {
    const version = tag.name.slice(prefix.length);
    const counts =
      tag.name.startsWith(prefix) && version !== '' && !version.includes('+') && canonicalVersion(version) === version;
    return counts && !isPseudoVersion(version) ? [{ version: version as Version, tag }] : [];
  });
  const ascending = found.toSorted((a, b) => compareVersions(a.version, b.version));
  const compatible = ascending.filter(({ version }) => matchesMajor(version, place.major));
  if (place.directory !== '' || place.major !== '') return compatible;
  const others = ascending.filter(({ version }) => !matchesMajor(version, place.major));
  return [...compatible, ...(await incompatible(repositories, place, compatible.at(-1), others))];
}

/** Of the versions of higher majors, those that may be used as `+incompatible`: of majors whose latest has no go.mod. */
async function incompatible(
  repositories: Repositories,
  { project }: ModulePlace,
  latest: TaggedVersion | undefined,
  others: readonly TaggedVersion[],
): Promise<TaggedVersion[]> {
  const hasGoMod = async ({ tag }: TaggedVersion): Promise<boolean> =>
    (await repositories.goMod(project.id, tag.commit, '')) !== undefined;
  if (others.length === 0 || (latest && (await hasGoMod(latest)))) return [];
  const latestOfMajor = new Map(others.map((other) => [majorOf(other.version), other]));
  const refused = new Set<string>();
  for (const [major, other] of latestOfMajor) if (await hasGoMod(other)) refused.add(major);
  return others
    .filter(({ version }) => !refused.has(majorOf(version)))
    .map(({ version, tag }) => ({ version: `${version}+incompatible` as Version, tag }));
}

/**
 * Tells which versions the module's author took back: the go.mod of the highest release says so, or of the highest
 * pre-release where there is no release (codeRepo.retractedVersions in cmd/go). Without one that can be read, none.
 */
export async function retractionTest(
  repositories: Repositories,
  place: ModulePlace,
  goModOf: (tagged: TaggedVersion) => Promise<Buffer | undefined>,
): Promise<(version: string) => boolean> {
  const versions = (await taggedVersions(repositories, place)).filter(
    ({ version }) => !version.endsWith('+incompatible'),
  );
  const highest = versions.findLast(({ version }) => prereleaseOf(version) === '') ?? versions.at(-1);
  const gomod = highest && (await goModOf(highest));
  const ranges = gomod ? retractions(gomod) : [];
  return (version) => isRetracted(version, ranges);
}
