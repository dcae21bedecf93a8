import { mapInSlices } from '../async/in-slices.ts';
import { isPseudoVersion, prereleaseOf, sortByVersion, type Version } from '../module/version.ts';

/**
 * Returns the versions for `@v/list` in ascending order, without pseudo-versions. Also omits `+incompatible` versions
 * if the highest compatible version has its own go.mod (appendIncompatibleVersions in cmd/go/internal/modfetch).
 * Includes retracted versions, because the go command filters them itself.
 */
export async function listedVersions(
  published: readonly Version[],
  hasOwnGoMod: (version: Version) => Promise<boolean>,
): Promise<Version[]> {
  const versions = await sortByVersion(
    await mapInSlices(published, (version) => (isPseudoVersion(version) ? undefined : version)),
    (version) => version,
  );
  const compatible = versions.filter((version) => !isIncompatible(version));
  const highest = compatible.at(-1);
  if (highest === undefined || compatible.length === versions.length) return versions;
  return (await hasOwnGoMod(highest)) ? compatible : versions;
}

/**
 * Sorts versions by the preference of `@latest`: releases before pre-releases, then higher versions before lower
 * versions. `listed` is in ascending order, as `listedVersions` returns it. The go.mod of the first version, retracted
 * or not, contains the retractions of the module.
 */
export async function byPreference(listed: readonly Version[]): Promise<Version[]> {
  const descending = listed.toReversed();
  const releases = await mapInSlices(descending, (version) => (prereleaseOf(version) === '' ? version : undefined));
  const isRelease = new Set(releases);
  return [...releases, ...descending.filter((version) => !isRelease.has(version))];
}

/** Returns the text of `@v/list`, with one version per line. */
export function listText(versions: readonly string[]): Buffer {
  return Buffer.from(versions.map((version) => `${version}\n`).join(''));
}

/** Returns the versions in the text of `@v/list`. */
export function parseListText(text: Buffer): string[] {
  return text
    .toString()
    .split('\n')
    .filter((version) => version !== '');
}

function isIncompatible(version: Version): boolean {
  return version.endsWith('+incompatible');
}
