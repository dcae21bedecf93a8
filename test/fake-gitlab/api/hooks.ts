import { Router, json, urlencoded, type Request, type Response } from 'express';
import { z } from 'zod';
import type { Hook, HookList, HookScope, HookSettings } from '../hook.ts';
import type { HookDelivery } from '../hook-delivery.ts';
import type { HookPayload } from '../hook-payload.ts';
import type { ProjectRecord } from '../instance.ts';
import { isWithin } from '../instance.ts';
import type { Token } from '../tokens.ts';
import type { ApiContext } from './context.ts';
import { ApiError, badParameter, forbidden, noRecord } from './error.ts';
import { integer, text } from './query.ts';

const flag = z.union([
  z.boolean(),
  z.enum(['true', '1']).transform(() => true),
  z.enum(['false', '0']).transform(() => false),
]);
const words = z.string().nullable();

const bodySchema = z
  .object({
    url: z.string(),
    name: words,
    description: words,
    push_events: flag,
    tag_push_events: flag,
    repository_update_events: flag,
    merge_requests_events: flag,
    enable_ssl_verification: flag,
    push_events_branch_filter: words,
    token: words,
    signing_token: words,
  })
  .partial();

type Body = z.infer<typeof bodySchema>;

/** GitLab's limit on tests and resends of a webhook, per minute and token. */
const MAX_TESTS_PER_MINUTE = 5;

/** The maximum number of events on a page (lib/api/hooks/events.rb). */
const MAX_EVENTS_PER_PAGE = 20;

/** Whether group webhooks are available, missing from the licence, or missing from the edition. */
export type GroupHooks = 'licensed' | 'unlicensed' | 'community';

interface Owner {
  readonly scope: HookScope;
  readonly token: Token;
  /** The project whose commits are in the payload of a test. */
  readonly example: ProjectRecord | undefined;
}

/**
 * Serves the webhooks of projects (`/projects/:id/hooks`), of groups (`/groups/:id/hooks`) and of the system
 * (`/hooks`).
 */
export function hookRoutes(
  context: ApiContext,
  hooks: HookList,
  payload: HookPayload,
  delivery: HookDelivery,
  groupHooks: GroupHooks,
): Router {
  const { access, instance, pagination } = context;
  const router = Router();
  const calls = new Map<string, number[]>();
  router.use(json(), urlencoded({ extended: false }));

  mount('/projects/:id/hooks', (request) => {
    const project = access.administeredProject(request, String(request.params['id']));
    return { scope: { kind: 'project', id: project.id }, token: access.requireToken(request), example: project };
  });
  mount('/groups/:id/hooks', (request) => {
    if (groupHooks === 'community') throw new ApiError(404, { error: '404 Not Found' });
    const group = access.administeredGroup(request, String(request.params['id']));
    if (groupHooks === 'unlicensed') throw forbidden();
    const example = instance.projects.find((project) => isWithin(project.fullPath, group.fullPath));
    return { scope: { kind: 'group', id: group.id }, token: access.requireToken(request), example };
  });
  mount('/hooks', (request) => ({
    scope: { kind: 'system' },
    token: access.requireAdmin(request),
    example: instance.projects[0],
  }));

  function mount(path: string, ownerOf: (request: Request) => Owner): void {
    const one = (request: Request): { hook: Hook; owner: Owner } => {
      const owner = ownerOf(request);
      const hook = hooks.of(owner.scope).find(({ id }) => id === Number(request.params['hook_id']));
      if (hook === undefined) throw noRecord();
      return { hook, owner };
    };

    router.get(path, (request, response) => {
      response.json(pagination.page(request, response, hooks.of(ownerOf(request).scope)).map(presented));
    });
    router.post(path, (request, response) => {
      const { scope } = ownerOf(request);
      const body = parsed(request);
      if (body.url === undefined) throw badParameter('url is missing');
      response.status(201).json(presented(hooks.add(scope, { ...defaults(scope), ...given(body), url: body.url })));
    });
    router.get(`${path}/:hook_id`, (request, response) => {
      response.json(presented(one(request).hook));
    });
    router.put(`${path}/:hook_id`, (request, response) => {
      const { hook } = one(request);
      const body = given(parsed(request));
      // GitLab removes the secrets if the webhook gets another address.
      const moved = body.url !== undefined && body.url !== hook.settings.url;
      Object.assign(hook.settings, moved ? { token: null, signing_token: null } : {}, body);
      response.json(presented(hook));
    });
    router.delete(`${path}/:hook_id`, (request, response) => {
      hooks.remove(one(request).hook);
      response.status(204).end();
    });
    router.post(`${path}/:hook_id/test/:trigger`, async (request, response) => {
      const { hook, owner } = one(request);
      const { trigger } = request.params;
      if (trigger !== 'tag_push_events' && trigger !== 'push_events')
        throw badParameter('trigger does not have a valid value');
      limit(`test ${hook.id} ${owner.token.value}`);
      await test(hook, owner, trigger, response);
    });
    // Only system hooks have this short form. Such a test uses no real project.
    if (path === '/hooks') {
      router.post(`${path}/:hook_id`, async (request, response) => {
        const { hook } = one(request);
        const sample = { event_name: 'project_create', name: 'Ruby', path: 'ruby', project_id: 1 };
        await delivery.send(hook, { trigger: 'system_hooks', payload: sample }, true);
        response.status(201).json(sample);
      });
    }
    router.get(`${path}/:hook_id/events`, (request, response) => {
      const { hook } = one(request);
      if (integer(request, 'per_page', 20) > MAX_EVENTS_PER_PAGE)
        throw badParameter('per_page does not have a valid value');
      const wanted = text(request, 'status')?.split(',');
      const events = hook.events.filter(
        ({ response_status: status }) => wanted === undefined || wanted.some((word) => fits(status, word)),
      );
      response.json(pagination.page(request, response, events));
    });
    router.post(`${path}/:hook_id/events/:event_id/resend`, async (request, response) => {
      const { hook, owner } = one(request);
      limit(`resend ${hook.id} ${owner.token.value}`);
      const event = hook.events.find(({ id }) => id === Number(request.params['event_id']));
      if (event === undefined) throw noRecord();
      const repeats = event.request_headers['Idempotency-Key'];
      const message = {
        trigger: event.trigger,
        payload: event.request_data,
        ...(repeats === undefined ? {} : { repeats }),
      };
      const sent = await delivery.send(hook, message, true);
      if (sent?.status === undefined) throw new ApiError(422, { message: sent?.error ?? 'Hook disabled' });
      response.status(201).json({ response_status: sent.status });
    });
  }

  async function test(
    hook: Hook,
    owner: Owner,
    trigger: 'tag_push_events' | 'push_events',
    response: Response,
  ): Promise<void> {
    const project = owner.example;
    const tip = await project?.repository.commit('HEAD');
    if (project === undefined || tip === undefined)
      throw new ApiError(422, { message: 'Ensure the project has at least one commit.' });
    const isTag = trigger === 'tag_push_events';
    const sample = await payload.sample(project, isTag, owner.token);
    const sent = await delivery.send(hook, { trigger: isTag ? 'tag_push_hooks' : 'push_hooks', payload: sample }, true);
    if (sent?.status === undefined || sent.status >= 300) throw new ApiError(422, { message: sent?.error ?? '' });
    response.status(201).json({ message: '201 Created' });
  }

  function limit(key: string): void {
    const now = performance.now();
    const recent = (calls.get(key) ?? []).filter((at) => now - at < 60_000);
    if (recent.length >= MAX_TESTS_PER_MINUTE) {
      throw new ApiError(429, {
        message: { error: 'This endpoint has been requested too many times. Try again later.' },
      });
    }
    calls.set(key, [...recent, now]);
  }

  return router;
}

function parsed(request: Request): Body {
  // Parameters may be in the query or in the body.
  const result = bodySchema.safeParse({ ...request.query, ...(request.body as object | undefined) });
  if (!result.success)
    throw badParameter(`${result.error.issues.map(({ path }) => path.join('.')).join(', ')} is invalid`);
  const { url, signing_token: signingToken } = result.data;
  if (url !== undefined && !/^https?:\/\/[^/]/.test(url)) throw new ApiError(422, { error: 'Invalid url given' });
  if (signingToken && !/^whsec_[A-Za-z0-9+/]{43}=$/.test(signingToken)) {
    throw new ApiError(422, { message: { signing_token: ['must be whsec_ and the base64 of 32 bytes'] } });
  }
  return result.data;
}

function given(body: Body): Partial<HookSettings> {
  const entries = Object.entries(body).filter(([, value]) => value !== undefined);
  // An empty value removes the secret.
  return Object.fromEntries(entries.map(([name, value]) => [name, /token/.test(name) && value === '' ? null : value]));
}

function defaults(scope: HookScope): Omit<HookSettings, 'url'> {
  const system = scope.kind === 'system';
  return {
    name: null,
    description: null,
    push_events: !system,
    tag_push_events: false,
    repository_update_events: system,
    merge_requests_events: false,
    enable_ssl_verification: true,
    push_events_branch_filter: null,
    token: null,
    signing_token: null,
  };
}

function presented(hook: Hook): object {
  const { token, signing_token: signingToken, ...visible } = hook.settings;
  return {
    id: hook.id,
    ...visible,
    created_at: hook.createdAt.toISOString(),
    alert_status: hook.alertStatus,
    disabled_until: hook.disabledUntil?.toISOString() ?? null,
    url_variables: [],
    branch_filter_strategy: 'wildcard',
    custom_webhook_template: null,
    custom_headers: [],
    token_present: token !== null,
    signing_token_present: signingToken !== null,
    ...(hook.scope.kind === 'project' ? { project_id: hook.scope.id } : {}),
    ...(hook.scope.kind === 'group' ? { group_id: hook.scope.id } : {}),
    ...(hook.scope.kind === 'system' ? { organization_id: 1 } : {}),
  };
}

function fits(status: string, wanted: string): boolean {
  if (wanted === 'successful') return status.startsWith('2');
  if (wanted === 'client_failure') return status.startsWith('4');
  if (wanted === 'server_failure') return status.startsWith('5') || status === 'internal error';
  return status === wanted;
}
