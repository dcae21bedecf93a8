import { Router } from 'express';
import type { Git } from '../git.ts';
import type { Commit } from '../objects.ts';
import type { Repository } from '../repository.ts';
import type { ApiContext } from './context.ts';
import { notFound } from './error.ts';
import { choice, text } from './query.ts';

/** Commits: one, the history of a ref, and the refs that contain one. */
export function commitRoutes({ access, pagination, present }: ApiContext, git: Git): Router {
  const router = Router();

  router.get('/projects/:id/repository/commits', async (request, response) => {
    const project = access.project(request, request.params.id);
    const tip = await project.repository.commit(text(request, 'ref_name') ?? 'HEAD');
    if (tip === undefined) throw notFound('Commit');
    const path = text(request, 'path');
    const filter = path === undefined ? [] : ['--', path];
    const ids = await lines(git, project.repository, ['rev-list', tip.id, ...filter]);
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
      const names = await lines(git, repository, ['for-each-ref', '--format=%(refname:strip=2)', `--contains=${commit.id}`, prefix]);
      return names.map((name) => ({ type: kind, name }));
    };
    const refs = [...(await containing('branch', 'refs/heads')), ...(await containing('tag', 'refs/tags'))];
    response.json(pagination.page(request, response, refs));
  });

  return router;
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
