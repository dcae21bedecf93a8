import { Skip } from '../errors.ts';
import type { Commit, Project } from '../gitlab/schema.ts';
import { isPseudoVersion, isSemver, parseVersion, withoutIncompatible } from '../module/version.ts';
import { parsePseudoVersion } from '../module/pseudo.ts';
import { joinPath } from '../module/path-elements.ts';
import type { ModulePlace } from './place.ts';
import type { Repositories } from './repositories.ts';

/** The commit that a query names in the repository, and how the query names it. */
export interface Revision extends Commit {
  /** The full name of the branch or tag, or `HEAD` for the latest commit; undefined if the query names the commit in another way. */
  readonly ref: string | undefined;
  /** The name of the tag, if the query names a tag. */
  readonly tag: string | undefined;
}

/**
 * Finds the commit that a query names: a tag, else a branch, else `HEAD`, else a commit by 7 to 40 digits of its id, in the
 * order of gitRepo.stat in cmd/go. A version names the tag of the same name, in the module's directory; a pseudo-version
 * names the commit it contains. Throws Skip if there is no such revision.
 */
export async function findRevision(
  repositories: Repositories,
  { project, directory }: ModulePlace,
  query: string,
): Promise<Revision> {
  const name = revisionName(directory, query);
  // A branch whose name is a version does not count: it can move, and a version must not.
  const onlyTag = parseVersion(query) !== undefined && !isPseudoVersion(query);
  const isCommit = COMMIT.test(name);
  const [tag, branch, commit] = await Promise.all([
    repositories.tag(project.id, name),
    onlyTag ? undefined : repositories.branch(project.id, name),
    isCommit ? repositories.commit(project.id, name) : undefined,
  ]);
  if (tag) return { ...tag, ref: `refs/tags/${name}`, tag: name };
  if (branch) return { ...branch, ref: `refs/heads/${name}`, tag: undefined };
  // The go command records no ref for the query HEAD (gitRepo.stat), but it does for the latest commit.
  if (name === 'HEAD') return { ...(await findHead(repositories, project)), ref: undefined };
  if (commit) return { ...commit, ref: undefined, tag: undefined };
  const what = onlyTag
    ? `tag ${name}`
    : isCommit
      ? `commit ${name} that is reachable from a branch or tag`
      : `tag, branch or commit ${name}`;
  throw new Skip(`${project.path} has no ${what}`);
}

/** The tip of the default branch. Throws Skip for a repository without commits. */
export async function findHead(repositories: Repositories, project: Project): Promise<Revision> {
  const head = await repositories.head(project.id);
  if (!head) throw new Skip(`${project.path} has no commits`);
  return { ...head, ref: 'HEAD', tag: undefined };
}

/** At least 7 digits, codehost's minHashDigits: a shorter text is too likely to be a name. Ids by SHA-256 have 64 digits. */
const COMMIT = /^[0-9a-f]{7,40}$|^[0-9a-f]{64}$/;

/** The name of a tag, branch or commit that a query stands for (codeRepo.revToRev in cmd/go). */
function revisionName(directory: string, query: string): string {
  if (!isSemver(query)) return query;
  if (isPseudoVersion(query)) return parsePseudoVersion(query)?.revision ?? query;
  return joinPath(directory, withoutIncompatible(query));
}
