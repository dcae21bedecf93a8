import { Router, type Request, type Response } from 'express';
import type { ProjectRecord } from '../instance.ts';
import { isWithin, lastPart, parentPath } from '../instance.ts';
import type { ApiContext } from './context.ts';
import { ApiError } from './error.ts';
import { choice, flag, text } from './query.ts';

const orders = ['id', 'name', 'path', 'created_at', 'updated_at', 'last_activity_at'] as const;

/** Serves `/projects`, `/projects/:id`, `/groups`, `/groups/:id` and `/groups/:id/projects`. */
export function projectRoutes(context: ApiContext): Router {
  const { instance, access, pagination, present } = context;
  const router = Router();

  router.get('/projects', async (request, response) => {
    const token = access.token(request);
    const membership = flag(request, 'membership') ?? false;
    const all = instance.projects.filter((project) =>
      membership ? instance.isMember(token, project) : instance.sees(token, project),
    );
    const found = sorted(request, filtered(request, all));
    const page =
      text(request, 'pagination') === 'keyset'
        ? keyset(request, response, found)
        : pagination.page(request, response, found);
    response.json(await Promise.all(page.map((project) => present.project(project))));
  });

  router.get('/projects/:id', async (request, response) => {
    response.json(await present.project(access.project(request, request.params.id)));
  });

  router.get('/groups', (request, response) => {
    const token = access.token(request);
    const groups = instance.groups.filter((group) => instance.seesGroup(token, group));
    response.json(pagination.page(request, response, groups).map((group) => present.group(group)));
  });

  router.get('/groups/:id', (request, response) => {
    response.json(present.group(access.group(request, request.params.id)));
  });

  router.get('/groups/:id/projects', async (request, response) => {
    const group = access.group(request, request.params.id);
    const token = access.token(request);
    const deep = flag(request, 'include_subgroups') ?? false;
    const all = instance.projects.filter((project) => {
      const inside = deep
        ? isWithin(project.fullPath, group.fullPath)
        : parentPath(project.fullPath) === group.fullPath;
      return inside && instance.sees(token, project);
    });
    if (text(request, 'pagination') === 'keyset') throw keysetRefused();
    const page = pagination.page(request, response, sorted(request, filtered(request, all)));
    response.json(await Promise.all(page.map((project) => present.project(project))));
  });

  function keyset(request: Request, response: Response, projects: readonly ProjectRecord[]): readonly ProjectRecord[] {
    if (text(request, 'order_by') !== 'id') throw keysetRefused();
    const ascending = text(request, 'sort') === 'asc';
    const after = Number(text(request, 'id_after') ?? Number.NEGATIVE_INFINITY);
    const before = Number(text(request, 'id_before') ?? Number.POSITIVE_INFINITY);
    const rest = projects.filter(({ id }) => id > after && id < before);
    return pagination.keyset(request, response, rest, ({ id }) =>
      ascending ? { id_after: `${id}` } : { id_before: `${id}` },
    );
  }

  return router;
}

function keysetRefused(): ApiError {
  return new ApiError(405, { error: 'Keyset pagination is not yet available for this type of request' });
}

function filtered(request: Request, projects: readonly ProjectRecord[]): readonly ProjectRecord[] {
  const archived = flag(request, 'archived');
  const search = text(request, 'search')?.toLowerCase();
  const visibility = text(request, 'visibility');
  return projects.filter(
    (project) =>
      (archived === undefined || project.archived === archived) &&
      (search === undefined || lastPart(project.fullPath).toLowerCase().includes(search)) &&
      (visibility === undefined || project.visibility === visibility),
  );
}

function sorted(request: Request, projects: readonly ProjectRecord[]): readonly ProjectRecord[] {
  const order = choice(request, 'order_by', orders, 'created_at');
  const sign = choice(request, 'sort', ['asc', 'desc'], 'desc') === 'asc' ? 1 : -1;
  // Ids increase with the time of creation. They also order projects whose other sort keys are equal.
  const compare = (one: ProjectRecord, other: ProjectRecord): number => {
    if (order === 'name' || order === 'path')
      return lastPart(one.fullPath).localeCompare(lastPart(other.fullPath)) || one.id - other.id;
    if (order === 'last_activity_at' || order === 'updated_at')
      return +one.lastActivityAt - +other.lastActivityAt || one.id - other.id;
    return one.id - other.id;
  };
  return [...projects].sort((one, other) => sign * compare(one, other));
}
