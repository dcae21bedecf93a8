import { Git } from '../fake-gitlab/git.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';

/** A commit of a graph. */
export interface GraphCommit {
  /** A name for the commit, which is unique in the repository. */
  readonly name: string;
  /** The names of its parents. A commit without parents begins an unrelated history. */
  readonly parents: readonly string[];
  /** The committer date, in seconds since the epoch. */
  readonly seconds: number;
  /** The tags on the commit. */
  readonly tags?: readonly string[];
  /** The branch that points at the commit. */
  readonly branch?: string;
  /** The files that the commit adds to those of its first parent. */
  readonly files?: Readonly<Record<string, string>>;
}

/**
 * Adds thousands of commits to a repository at once. `known` contains the ids of the commits of earlier calls by name.
 * Resolves to the ids of all commits.
 */
export async function addCommits(
  project: Project,
  commits: readonly GraphCommit[],
  known: ReadonlyMap<string, string> = new Map(),
): Promise<Map<string, string>> {
  const ids = new Map(known);
  const marks = new Map(commits.map(({ name }, index) => [name, `:${index + 1}`]));
  const refOf = (name: string): string => marks.get(name) ?? ids.get(name) ?? '';
  const script = commits.flatMap(({ name, parents, seconds, tags = [], branch, files = {} }, index) => [
    `commit refs/temporary/${index}\nmark :${index + 1}\n`,
    `committer Carl Committer <carl@example.com> ${seconds} +0000\ndata ${Buffer.byteLength(name)}\n${name}\n`,
    ...parents.map((parent, number) => `${number === 0 ? 'from' : 'merge'} ${refOf(parent)}\n`),
    ...Object.entries(files).map(
      ([path, text]) => `M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`,
    ),
    '\n',
    ...tags.map((tag) => `reset refs/tags/${tag}\nfrom :${index + 1}\n\n`),
    ...(branch === undefined ? [] : [`reset refs/heads/${branch}\nfrom :${index + 1}\n\n`]),
    `get-mark :${index + 1}\n`,
  ]);
  const git = new Git();
  const cwd = project.repositoryDir;
  const output = await git.run(['fast-import', '--quiet', '--force', '--date-format=raw-permissive'], {
    cwd,
    input: script.join(''),
  });
  for (const [index, id] of output.toString().trim().split('\n').entries()) ids.set(commits[index]?.name ?? '', id);
  const temporary = await git.run(['for-each-ref', '--format=delete %(refname)', 'refs/temporary'], { cwd });
  await git.run(['update-ref', '--stdin'], { cwd, input: temporary });
  await project.reload();
  return ids;
}
