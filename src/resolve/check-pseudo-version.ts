import { Refuse } from '../errors.ts';
import { hasFourDigitYear, parsePseudoVersion, timestampOf } from '../module/pseudo.ts';
import { compareVersions, majorOf, withoutIncompatible, type Version } from '../module/version.ts';
import type { ModulePlace } from './place.ts';
import type { Repositories } from './repositories.ts';
import type { Revision } from './revision.ts';
import { tagPrefixOf } from './tagged-versions.ts';

/**
 * Throws Refuse unless a pseudo-version is valid for its commit, or was valid at an earlier time
 * (codeRepo.validatePseudoVersion in cmd/go). Without this check, anybody could invent a high version for a commit.
 */
export async function checkPseudoVersion(
  repositories: Repositories,
  place: ModulePlace,
  revision: Revision,
  version: Version,
): Promise<void> {
  const reason = await faultOf(repositories, place, revision, version);
  if (reason !== undefined) throw new Refuse(`${version} is not a valid pseudo-version: ${reason}`);
}

async function faultOf(
  repositories: Repositories,
  place: ModulePlace,
  { id, committedAt }: Revision,
  version: Version,
): Promise<string | undefined> {
  const parsed = parsePseudoVersion(withoutIncompatible(version));
  if (!parsed) return 'it does not have the form of a pseudo-version';
  const { timestamp, revision, base } = parsed;
  const short = id.slice(0, 12);
  if (revision !== short) {
    const difference = revision.startsWith(short)
      ? 'is too long'
      : short.startsWith(revision)
        ? 'is too short'
        : 'does not match';
    return `its commit id ${difference}: use ${short}`;
  }
  if (!hasFourDigitYear(committedAt)) return 'its commit is dated after the year 9999';
  if (timestamp !== timestampOf(committedAt))
    return `its time is not the time of the commit, which is ${timestampOf(committedAt)}`;
  if (typeof base !== 'string') return base.reason;
  if (base === '') {
    return place.major === '' && majorOf(version) === 'v1'
      ? 'its commit has no earlier tag, so the major version has to be v0'
      : undefined;
  }
  return await baseFaultOf(repositories, place, id, base);
}

/** Returns why `base` is not a tag on an ancestor of the commit, or undefined if it is. */
async function baseFaultOf(
  repositories: Repositories,
  place: ModulePlace,
  commit: Revision['id'],
  base: string,
): Promise<string | undefined> {
  const prefix = tagPrefixOf(place);
  const tags = await repositories.tags(place.project.id);
  if (tags.some((tag) => tag.commit === commit && tag.name.replace(prefix, '') === base)) {
    return `its commit has the tag ${prefix}${base}: use that version instead`;
  }
  // A tag such as v1.2.3+meta counts as v1.2.3 here.
  const candidates = tags.flatMap((tag) =>
    tag.name.startsWith(prefix + base) && compareVersions(tag.name.slice(prefix.length), base) === 0 ? [{ tag }] : [],
  );
  if (candidates.length === 0) return `there is no tag ${prefix}${base} before its commit`;
  const found = await repositories.firstInHistory(place.project.id, commit, candidates, async () => true);
  return found ? undefined : `its commit does not come after the tag ${prefix}${base}`;
}
