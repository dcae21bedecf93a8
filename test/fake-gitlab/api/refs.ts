import { Router, type Request, type Response } from 'express';
import type { Ref, Repository } from '../repository.ts';
import type { ApiContext } from './context.ts';
import { ApiError, forbidden, notFound } from './error.ts';
import { choice, text } from './query.ts';

/** Serves the tags and branches of a repository, as lists and one by one. */
export function refRoutes({ access, pagination, present }: ApiContext): Router {
  const router = Router();

  router.get('/projects/:id/repository/tags', async (request, response) => {
    const project = access.project(request, request.params.id);
    if (project.codeDisabled) throw forbidden();
    const order = choice(request, 'order_by', ['name', 'updated', 'version'], 'updated');
    const descending = choice(request, 'sort', ['asc', 'desc'], 'desc') === 'desc';
    const tags = searched(request, await ordered(project.repository, 'refs/tags/', order));
    const page = paged(request, response, descending ? tags.toReversed() : tags, 'refs/tags/');
    response.json(await Promise.all(page.map((tag) => present.tag(project, tag))));
  });

  router.get('/projects/:id/repository/tags/:tag_name', async (request, response) => {
    const project = access.project(request, request.params.id);
    const ref = (await project.repository.refs()).get(`refs/tags/${request.params.tag_name}`);
    if (ref === undefined) throw notFound('Tag');
    response.json(await present.tag(project, ref));
  });

  router.get('/projects/:id/repository/branches', async (request, response) => {
    const project = access.project(request, request.params.id);
    const order = choice(request, 'sort', ['name_asc', 'updated_asc', 'updated_desc'], 'name_asc');
    const branches = searched(
      request,
      await ordered(project.repository, 'refs/heads/', order === 'name_asc' ? 'name' : 'updated'),
    );
    const page = paged(request, response, order === 'updated_desc' ? branches.toReversed() : branches, 'refs/heads/');
    response.json(await Promise.all(page.map((branch) => present.branch(project, branch))));
  });

  router.get('/projects/:id/repository/branches/:branch', async (request, response) => {
    const project = access.project(request, request.params.id);
    const ref = (await project.repository.refs()).get(`refs/heads/${request.params.branch}`);
    if (ref === undefined) throw notFound('Branch');
    response.json(await present.branch(project, ref));
  });

  function paged(request: Request, response: Response, refs: readonly Ref[], prefix: string): readonly Ref[] {
    if (choice(request, 'pagination', ['legacy', 'keyset'], 'legacy') === 'legacy') {
      return pagination.page(request, response, refs, 'gitaly');
    }
    const token = text(request, 'page_token');
    const before = token === undefined ? -1 : refs.findIndex((ref) => ref.name === `${prefix}${token}`);
    if (token !== undefined && before < 0) {
      throw new ApiError(422, { message: `Invalid page token: ${prefix}${token}` });
    }
    return pagination.keyset(request, response, refs.slice(before + 1), (last) => ({
      page_token: last.name.replace(prefix, ''),
    }));
  }

  return router;
}

async function ordered(repository: Repository, prefix: string, order: 'name' | 'updated' | 'version'): Promise<Ref[]> {
  const refs = await repository.refs();
  const found = [...refs.values()].filter((ref) => ref.name.startsWith(prefix));
  if (order === 'updated') return found.sort((one, other) => one.created - other.created);
  if (order === 'name') return found;
  return (await repository.tagsByVersion()).flatMap((name) => refs.get(prefix + name) ?? []);
}

/**
 * Filters refs by `search`: `^v` matches names that begin with v, `v$` names that end with v, and `v` names that
 * contain v. Case is ignored.
 */
function searched(request: Request, refs: Ref[]): Ref[] {
  const search = text(request, 'search');
  if (search === undefined || search === '') return refs;
  const words = search
    .replace(/^\^|\$$/g, '')
    .split('*')
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  const pattern = new RegExp(`${search.startsWith('^') ? '^' : ''}${words}${search.endsWith('$') ? '$' : ''}`, 'i');
  return refs.filter((ref) => pattern.test(ref.name.replace(/^refs\/(?:tags|heads)\//, '')));
}
