import { Skip } from '../errors.ts';
import type { Commit, Project } from '../gitlab/schema.ts';
import { isPseudoVersion, isSemver, parseVersion } from '../module/version.ts';
import { parsePseudoVersion } from '../module/pseudo.ts';
import { joinPath } from '../module/elements.ts';
import type { ModulePlace } from './place.ts';
import type { Repositories } from './repositories.ts';

/** What a query names in the repository. */
export interface Revision extends Commit {
  /** The full name of the branch or tag that was named, `HEAD` for the latest commit; undefined for one named in another way. */
  readonly ref: string | undefined;
  /** The tag's name, where a tag was named. */
  readonly tag: string | undefined;
}

/**
 * Finds what a query names: a tag, else a branch, else `HEAD`, else a commit by 7 to 40 digits of its id, in the order of
 * gitRepo.stat in cmd/go. A version stands for the tag of that name, in the module's directory, and a pseudo-version for
 * the commit in it. Throws Skip for what does not exist.
 */
export async function findRevision(
  repositories: Repositories,
  { project, directory }: ModulePlace,
  query: string,
): Promise<Revision> {
  const name = revisionName(directory, query);
  // A branch called like a version is none: nobody could tell whether the version stays what it was.
  const onlyTag = parseVersion(query) !== undefined && !isPseudoVersion(query);
  const isCommit = COMMIT.test(name);
  const [tag, branch, commit] = await Promise.all([
    repositories.tag(project.id, name),
    onlyTag ? undefined : repositories.branch(project.id, name),
    isCommit ? repositories.commit(project.id, name) : undefined,
  ]);
  if (tag) return { ...tag, ref: `refs/tags/${name}`, tag: name };
  if (branch) return { ...branch, ref: `refs/heads/${name}`, tag: undefined };
  // As a name it leaves no trace (gitRepo.stat); as the latest commit it does.
  if (name === 'HEAD') return { ...(await findHead(repositories, project)), ref: undefined };
  if (commit) return { ...commit, ref: undefined, tag: undefined };
  const what = onlyTag
    ? `tag ${name}`
    : isCommit
      ? `commit ${name} that a branch or tag leads to`
      : `tag, branch or commit ${name}`;
  throw new Skip(`${project.path} has no ${what}`);
}

/** The tip of the default branch. Throws Skip for a repository without commits. */
export async function findHead(repositories: Repositories, project: Project): Promise<Revision> {
  const head = await repositories.head(project.id);
  if (!head) throw new Skip(`${project.path} has no commits`);
  return { ...head, ref: 'HEAD', tag: undefined };
}

/** codehost's minHashDigits: fewer are too likely a name. 64 is the length of SHA-256 ids. */
const COMMIT = /^[0-9a-f]{7,40}$|^[0-9a-f]{64}$/;

/** What a query is called in the repository (codeRepo.revToRev in cmd/go). */
function revisionName(directory: string, query: string): string {
  if (!isSemver(query)) return query;
  if (isPseudoVersion(query)) return parsePseudoVersion(query)?.revision ?? query;
  return joinPath(directory, query.replace(/\+incompatible$/, ''));
}
