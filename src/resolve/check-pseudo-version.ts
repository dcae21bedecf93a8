import { Refuse } from '../errors.ts';
import { parsePseudoVersion, timestampOf } from '../module/pseudo.ts';
import { compareVersions, majorOf, type Version } from '../module/version.ts';
import type { ModulePlace } from './place.ts';
import type { Repositories } from './repositories.ts';
import type { Revision } from './revision.ts';
import { tagPrefixOf } from './tagged-versions.ts';

/**
 * Throws Refuse unless a pseudo-version is the one name that its commit may have, or was allowed to have at some time
 * (codeRepo.validatePseudoVersion in cmd/go). Otherwise anybody could make up versions of any height for a commit.
 */
export async function checkPseudoVersion(
  repositories: Repositories,
  place: ModulePlace,
  revision: Revision,
  version: Version,
): Promise<void> {
  const reason = await fault(repositories, place, revision, version);
  if (reason !== undefined) throw new Refuse(`${version} is no valid pseudo-version: ${reason}`);
}

async function fault(
  repositories: Repositories,
  place: ModulePlace,
  { id, committedAt }: Revision,
  version: Version,
): Promise<string | undefined> {
  const parsed = parsePseudoVersion(version.replace(/\+incompatible$/, ''));
  if (!parsed) return 'its form is none of those there are';
  const { timestamp, revision, base } = parsed;
  const short = id.slice(0, 12);
  if (revision !== short) {
    const how = revision.startsWith(short) ? 'longer than' : short.startsWith(revision) ? 'shorter than' : 'not';
    return `its commit is written ${how} the usual ${short}`;
  }
  if (timestamp !== timestampOf(committedAt))
    return `its time is not that of the commit, which is ${timestampOf(committedAt)}`;
  if (typeof base !== 'string') return base.reason;
  if (base === '') {
    return place.major === '' && majorOf(version) === 'v1'
      ? 'without a tag before it, the major version has to be v0'
      : undefined;
  }
  return await baseFault(repositories, place, id, base);
}

/** The base has to be a tag on a commit before this one. */
async function baseFault(
  repositories: Repositories,
  place: ModulePlace,
  commit: Revision['id'],
  base: string,
): Promise<string | undefined> {
  const prefix = tagPrefixOf(place);
  const tags = await repositories.tags(place.project.id);
  if (tags.some((tag) => tag.commit === commit && tag.name.replace(prefix, '') === base)) {
    return `its commit has the tag ${prefix}${base}, which is to be used instead`;
  }
  // Tags like v1.2.3+meta count as v1.2.3 here.
  const candidates = tags.filter(
    ({ name }) => name.startsWith(prefix + base) && compareVersions(name.slice(prefix.length), base) === 0,
  );
  if (candidates.length === 0) return `there is no tag ${prefix}${base} for it to come after`;
  for (const candidate of candidates) {
    if (await repositories.isAncestor(place.project.id, candidate.commit, commit)) return undefined;
  }
  return `its commit does not come after the tag ${prefix}${base}`;
}
