import { compareVersions, isPseudoVersion, prereleaseOf, type Version } from '../module/version.ts';

/**
 * The versions that `@v/list` shows, in ascending order: no pseudo-versions, and no `+incompatible` ones once the
 * highest compatible version has a go.mod of its own (modfetch's appendIncompatibleVersions). Retracted ones stay,
 * because the go command filters those itself.
 */
export async function listedVersions(
  published: readonly Version[],
  hasOwnGoMod: (version: Version) => Promise<boolean>,
): Promise<Version[]> {
  const versions = published.filter((version) => !isPseudoVersion(version)).toSorted(compareVersions);
  const compatible = versions.filter((version) => !isIncompatible(version));
  const highest = compatible.at(-1);
  if (highest === undefined || compatible.length === versions.length) return versions;
  return (await hasOwnGoMod(highest)) ? compatible : versions;
}

/**
 * The versions in the order in which `@latest` prefers them: releases before pre-releases, higher before lower.
 * The first, retracted or not, is also the one whose go.mod holds the retractions.
 */
export function byPreference(listed: readonly Version[]): Version[] {
  const descending = listed.toSorted((a, b) => compareVersions(b, a));
  return [
    ...descending.filter((version) => prereleaseOf(version) === ''),
    ...descending.filter((version) => prereleaseOf(version) !== ''),
  ];
}

function isIncompatible(version: Version): boolean {
  return version.endsWith('+incompatible');
}
