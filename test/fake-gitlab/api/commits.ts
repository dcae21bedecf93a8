import { Router } from 'express';
import type { Git } from '../git.ts';
import type { Commit } from '../objects.ts';
import type { Repository } from '../repository.ts';
import type { ApiContext } from './context.ts';
import { ApiError, notFound } from './error.ts';
import { choice, text } from './query.ts';

/** Serves a single commit, the history of a ref, the refs that contain a commit, and the merge base of commits. */
export function commitRoutes({ access, pagination, present }: ApiContext, git: Git): Router {
  const router = Router();

  router.get('/projects/:id/repository/commits', async (request, response) => {
    const project = access.project(request, request.params.id);
    const revisions = await revisionsOf(project.repository, text(request, 'ref_name') ?? 'HEAD');
    if (revisions === undefined) throw notFound('Commit');
    const path = text(request, 'path');
    const filter = path === undefined ? [] : ['--', path];
    const ids = await lines(git, project.repository, ['rev-list', ...revisions, ...filter]);
    const page = pagination.page(request, response, ids, 'countless');
    const commits = await Promise.all(page.map((id) => project.repository.commit(id)));
    response.json(commits.filter((commit) => commit !== undefined).map((commit) => present.commit(project, commit)));
  });

  router.get('/projects/:id/repository/commits/:sha', async (request, response) => {
    const project = access.project(request, request.params.id);
    const commit = await found(project.repository, request.params.sha);
    response.json({ ...present.commit(project, commit), status: null, project_id: project.id, last_pipeline: null });
  });

  router.get('/projects/:id/repository/commits/:sha/refs', async (request, response) => {
    const { repository } = access.project(request, request.params.id);
    const commit = await found(repository, request.params.sha);
    const type = choice(request, 'type', ['branch', 'tag', 'all'], 'all');
    const containing = async (kind: 'branch' | 'tag', prefix: string): Promise<object[]> => {
      if (type !== 'all' && type !== kind) return [];
      const names = await lines(git, repository, [
        'for-each-ref',
        '--format=%(refname:strip=2)',
        `--contains=${commit.id}`,
        prefix,
      ]);
      return names.map((name) => ({ type: kind, name }));
    };
    const refs = [...(await containing('branch', 'refs/heads')), ...(await containing('tag', 'refs/tags'))];
    response.json(pagination.page(request, response, refs));
  });

  router.get('/projects/:id/repository/merge_base', async (request, response) => {
    const project = access.project(request, request.params.id);
    const names = [request.query['refs[]']].flat().filter((name) => typeof name === 'string');
    if (names.length < 2) throw new ApiError(400, { message: '400 Bad request - Provide at least 2 refs' });
    const commits = await Promise.all(names.map((name) => project.repository.commit(name)));
    const unknown = names.filter((_, index) => commits[index] === undefined);
    if (unknown.length > 0)
      throw new ApiError(400, { message: `400 Bad request - Could not find ref: ${unknown.join(', ')}` });
    const base = await mergeBase(
      git,
      project.repository,
      commits.flatMap((commit) => commit?.id ?? []),
    );
    if (base === undefined) throw notFound('Merge Base');
    response.json(present.commit(project, await found(project.repository, base)));
  });

  return router;
}

/** Returns the arguments of git for a revision, or for a range such as `<from>..<to>`; undefined for an unknown one. */
async function revisionsOf(repository: Repository, range: string): Promise<string[] | undefined> {
  const [to = '', from] = range.split('..').toReversed();
  const last = await repository.commit(to);
  if (last === undefined || from === undefined) return last && [last.id];
  const first = await repository.commit(from);
  return first && [last.id, `^${first.id}`];
}

async function found(repository: Repository, revision: string): Promise<Commit> {
  const commit = await repository.commit(revision);
  if (commit === undefined) throw notFound('Commit');
  return commit;
}

async function lines(git: Git, repository: Repository, args: readonly string[]): Promise<string[]> {
  const output = await git.run(args, { cwd: repository.directory });
  return output.toString().split('\n').slice(0, -1);
}

/** Returns the merge base, or undefined if there is none. In this case, git exits with status 1. */
async function mergeBase(git: Git, repository: Repository, ids: readonly string[]): Promise<string | undefined> {
  try {
    const [base] = await lines(git, repository, ['merge-base', ...ids]);
    return base;
  } catch (error) {
    if (error instanceof Error && /ended with 1:/.test(error.message)) return undefined;
    throw error;
  }
}
