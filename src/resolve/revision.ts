import { Skip } from '../errors.ts';
import type { Commit, Project } from '../gitlab/schema.ts';
import { isPseudoVersion, isSemver, parseVersion, withoutIncompatible } from '../module/version.ts';
import { parsePseudoVersion } from '../module/pseudo.ts';
import { joinPath } from '../module/path-elements.ts';
import type { ModulePlace } from './place.ts';
import type { Repositories } from './repositories.ts';

/** The commit that a query names, and the way in which the query names it. */
export interface Revision extends Commit {
  /**
   * The full name of the branch or tag, or `HEAD` for the latest commit. Undefined if the query names the commit in
   * another way.
   */
  readonly ref: string | undefined;
  /** The name of the tag, if the query names a tag. */
  readonly tag: string | undefined;
}

/**
 * Finds the commit that a query names. The query can name a tag, a branch, `HEAD`, or a commit by at least 7 digits of
 * its id. These are tried in this order, as in gitRepo.stat of cmd/go. A version names the tag of the same name in the
 * module's directory. A pseudo-version names the commit whose id it contains. Throws Skip if there is no such revision.
 */
export async function findRevision(
  repositories: Repositories,
  { project, directory }: ModulePlace,
  query: string,
): Promise<Revision> {
  const name = revisionName(directory, query);
  // A branch whose name is a version does not count, because a branch can move and a version must not change.
  const onlyTag = parseVersion(query) !== undefined && !isPseudoVersion(query);
  const isCommit = COMMIT.test(name);
  const [tag, branch, commit] = await Promise.all([
    repositories.tag(project.id, name),
    onlyTag ? undefined : repositories.branch(project.id, name),
    isCommit ? repositories.commit(project.id, name) : undefined,
  ]);
  if (tag) return { ...tag, ref: `refs/tags/${name}`, tag: name };
  if (branch) return { ...branch, ref: `refs/heads/${name}`, tag: undefined };
  // The go command records no ref for the query HEAD (gitRepo.stat), but it records a ref for the latest commit.
  if (name === 'HEAD') return { ...(await findHead(repositories, project)), ref: undefined };
  if (commit) return { ...commit, ref: undefined, tag: undefined };
  const what = onlyTag
    ? `tag ${name}`
    : isCommit
      ? `commit ${name} that is reachable from a branch or tag`
      : `tag, branch or commit ${name}`;
  throw new Skip(`${project.path} has no ${what}`);
}

/** Finds the tip of the default branch. Throws Skip for a repository without commits. */
export async function findHead(repositories: Repositories, project: Project): Promise<Revision> {
  const head = await repositories.head(project.id);
  if (!head) throw new Skip(`${project.path} has no commits`);
  return { ...head, ref: 'HEAD', tag: undefined };
}

/**
 * Matches a commit id of at least 7 digits (minHashDigits in codehost), because a shorter text is too likely to be a
 * name. SHA-256 ids have 64 digits.
 */
const COMMIT = /^[0-9a-f]{7,40}$|^[0-9a-f]{64}$/;

/** Returns the name of the tag, branch or commit for which a query stands (codeRepo.revToRev in cmd/go). */
function revisionName(directory: string, query: string): string {
  if (!isSemver(query)) return query;
  if (isPseudoVersion(query)) return parsePseudoVersion(query)?.revision ?? query;
  return joinPath(directory, withoutIncompatible(query));
}
