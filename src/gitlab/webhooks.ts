import { BaseResource } from '@gitbeaker/requester-utils';
import { z } from 'zod';
import { resourceOptions, type GitLabOptions } from './client.ts';
import { ErrorResponse, GitLabNotFound, messageInBody, undefinedIfNotFound } from './error-response.ts';
import { itemsFrom, MAX_PER_PAGE, type PageQuery, type ReadInvalidItem } from './pages.ts';
import { parseResponse } from './schema.ts';

/** The owner of a hook: a project, a group or the whole instance. `path` is the full path. */
export type HookOwner =
  | { readonly kind: 'project'; readonly id: number; readonly path: string }
  | { readonly kind: 'group'; readonly path: string }
  | { readonly kind: 'system' };

/** The settings of a hook that can be changed, under their names in GitLab. */
export type HookSettings = Readonly<Record<string, boolean | string>>;

const hookSchema = z
  .looseObject({
    id: z.number().int(),
    url: z.string(),
    alert_status: z.enum(['executable', 'temporarily_disabled', 'disabled']).catch('executable'),
    disabled_until: z.coerce.date().nullish().catch(undefined),
    token_present: z.boolean().optional(),
    signing_token_present: z.boolean().optional(),
  })
  .transform((hook) => ({
    id: hook.id,
    url: hook.url,
    state: hook.alert_status,
    disabledUntil: hook.disabled_until ?? undefined,
    tokenPresent: hook.token_present,
    signingTokenPresent: hook.signing_token_present,
    settings: hook as Readonly<Record<string, unknown>>,
  }));

const deliverySchema = z
  .object({
    id: z.number().int(),
    request_headers: z.object({ 'Idempotency-Key': z.string().optional() }).nullish().catch(undefined),
    response_status: z.coerce.string(),
    created_at: z.coerce.date().optional().catch(undefined),
  })
  .transform((event) => ({
    id: event.id,
    status: event.response_status,
    at: event.created_at,
    key: event.request_headers?.['Idempotency-Key'] ?? `${event.id}`,
  }));

/**
 * A hook. GitLab never returns its secrets. Since GitLab 19.0, it returns whether they are set. Before 19.0,
 * `tokenPresent` and `signingTokenPresent` are undefined. `settings` contains everything that GitLab returns.
 */
export type Hook = z.output<typeof hookSchema>;
/**
 * One call of a hook. `status` is the status of the receiver's response as text, or `internal error` without a
 * response. A call and its repetitions have the same `key`. Some versions of GitLab do not return the time.
 */
export type Delivery = z.output<typeof deliverySchema>;

/** The result of a test call or of a repeated delivery. */
export type CallResult =
  | { readonly kind: 'sent'; readonly status: string }
  /** `message` comes from GitLab or from the receiver. */
  | { readonly kind: 'failed'; readonly message: string }
  /** The rate limit was reached: GitLab allows five test calls a minute. */
  | { readonly kind: 'limited' }
  /** The hook no longer exists, or this version of GitLab does not have this call. */
  | { readonly kind: 'absent' };

/** The access level of an Owner. Only an Owner of a group may read and change its hooks (doc/api/group_webhooks.md). */
const OWNER_ACCESS = 50;
/** The maximum number of deliveries that GitLab returns in one page (lib/api/hooks/events.rb). */
const MAX_DELIVERIES_PER_PAGE = 20;

/**
 * Reads and changes hooks of projects, groups and the system. Rejects with ErrorResponse, GitLabNotFound or Retry, like
 * the transport.
 */
export class WebhookClient {
  readonly #requester: BaseResource['requester'];

  /** The token needs the scope `api`. */
  constructor(options: GitLabOptions) {
    this.#requester = new BaseResource(resourceOptions(options)).requester;
  }

  /**
   * Lists the hooks of an owner, without the hooks of its parent groups. Rejects if one of them cannot be read, because
   * the caller adds a hook that is missing in the list.
   */
  list(owner: HookOwner): AsyncIterable<Hook> {
    return this.#items(hookSchema, hooksEndpoint(owner), MAX_PER_PAGE);
  }

  async get(owner: HookOwner, id: number): Promise<Hook> {
    return parseHook(await this.#requester.get(`${hooksEndpoint(owner)}/${id}`), owner);
  }

  async add(owner: HookOwner, settings: HookSettings): Promise<Hook> {
    return parseHook(await this.#requester.post(hooksEndpoint(owner), { body: settings }), owner);
  }

  async change(owner: HookOwner, id: number, settings: HookSettings): Promise<Hook> {
    return parseHook(await this.#requester.put(`${hooksEndpoint(owner)}/${id}`, { body: settings }), owner);
  }

  async remove(owner: HookOwner, id: number): Promise<void> {
    await this.#requester.delete(`${hooksEndpoint(owner)}/${id}`);
  }

  /**
   * Makes GitLab call a hook with data of the newest commits, even if the hook is disabled. A successful response
   * enables the hook. Does not work for system hooks.
   */
  test(owner: HookOwner, id: number): Promise<CallResult> {
    return this.#call(`${hooksEndpoint(owner)}/${id}/test/tag_push_events`);
  }

  /** Makes GitLab send a delivery again, unless the hook is disabled. Does not work for system hooks. */
  resend(owner: HookOwner, id: number, delivery: number): Promise<CallResult> {
    return this.#call(`${hooksEndpoint(owner)}/${id}/events/${delivery}/resend`);
  }

  /**
   * Lists the deliveries of the last days, newest first, without those that cannot be read. Does not work for system
   * hooks.
   */
  deliveries(owner: HookOwner, id: number): AsyncIterable<Delivery> {
    const endpoint = `${hooksEndpoint(owner)}/${id}/events`;
    return this.#items(deliverySchema, endpoint, MAX_DELIVERIES_PER_PAGE, () => undefined);
  }

  /**
   * Returns whether the token may read and change the hooks of a group. Its user must be an administrator or an Owner
   * of the group, possibly by inheritance.
   */
  async ownsGroup(path: string): Promise<boolean> {
    const { body } = await this.#requester.get('user');
    const user = parseResponse(z.object({ id: z.number().int(), is_admin: z.boolean().nullish() }), body, 'user');
    if (user?.is_admin === true) return true;
    const endpoint = `groups/${encodeURIComponent(path)}/members/all/${user?.id}`;
    const response = await undefinedIfNotFound(this.#requester.get(endpoint), 'nothing');
    const member = parseResponse(z.object({ access_level: z.number() }), response?.body, 'member');
    return (member?.access_level ?? 0) >= OWNER_ACCESS;
  }

  async #call(endpoint: string): Promise<CallResult> {
    try {
      const { body } = await this.#requester.post(endpoint);
      const response = z.object({ response_status: z.coerce.string() }).safeParse(body);
      return { kind: 'sent', status: response.data?.response_status ?? '' };
    } catch (error) {
      if (error instanceof GitLabNotFound) return { kind: 'absent' };
      if (error instanceof ErrorResponse && error.status === 429) return { kind: 'limited' };
      if (error instanceof ErrorResponse && error.status === 422) {
        return { kind: 'failed', message: messageInBody(error.text) };
      }
      throw error;
    }
  }

  /** Yields the items of a list. Unlike GitLabClient, throws GitLabNotFound if the list does not exist. */
  async *#items<T>(
    schema: z.ZodType<T>,
    endpoint: string,
    perPage: number,
    readInvalid?: ReadInvalidItem<T>,
  ): AsyncGenerator<T> {
    const read = (query: PageQuery) => this.#requester.get(endpoint, { searchParams: query });
    yield* itemsFrom(await read({ per_page: `${perPage}` }), schema, endpoint, read, readInvalid);
  }
}

function parseHook({ body }: { readonly body: unknown }, owner: HookOwner): Hook {
  return parseResponse(hookSchema, body, hooksEndpoint(owner)) as Hook;
}

function hooksEndpoint(owner: HookOwner): string {
  if (owner.kind === 'system') return 'hooks';
  return owner.kind === 'project' ? `projects/${owner.id}/hooks` : `groups/${encodeURIComponent(owner.path)}/hooks`;
}
