import { BaseResource } from '@gitbeaker/requester-utils';
import { z } from 'zod';
import { parse } from './schema.ts';
import { nextQuery, type GitLabOptions, type Page } from './client.ts';
import { createTransport, ErrorAnswer, NotFound } from './transport.ts';

/** Whose pushes a hook hears of. `path` is the full path. */
export type HookOwner =
  | { readonly kind: 'project'; readonly id: number; readonly path: string }
  | { readonly kind: 'group'; readonly path: string }
  | { readonly kind: 'system' };

/** What may be set on a hook, by GitLab's names. */
export type HookSettings = Readonly<Record<string, boolean | string>>;

const hookSchema = z
  .looseObject({
    id: z.number().int(),
    url: z.string(),
    alert_status: z.enum(['executable', 'temporarily_disabled', 'disabled']).catch('executable'),
    disabled_until: z.coerce.date().nullish(),
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
    request_headers: z.object({ 'Idempotency-Key': z.string().optional() }).nullish(),
    response_status: z.coerce.string(),
    created_at: z.coerce.date().optional(),
  })
  .transform((event) => ({
    id: event.id,
    status: event.response_status,
    at: event.created_at,
    key: event.request_headers?.['Idempotency-Key'] ?? `${event.id}`,
  }));

/**
 * A hook. GitLab never tells its secrets, but since 19.0 whether they are set; before, both are undefined. `settings` is
 * all that GitLab shows of it.
 */
export type Hook = z.output<typeof hookSchema>;
/**
 * One call of a hook: `status` is what was answered, as text, or `internal error` if nothing was. `key` is the same for a
 * call that repeats it; the time is not told by every version.
 */
export type Delivery = z.output<typeof deliverySchema>;

/** What became of a test, or of a delivery that was sent again; `words` are GitLab's, or those of the receiver. */
export type CallResult =
  | { readonly kind: 'sent'; readonly status: string }
  | { readonly kind: 'failed'; readonly words: string }
  /** GitLab allows five a minute. */
  | { readonly kind: 'limited' }
  /** There is none: it is gone, or this GitLab knows no such call. */
  | { readonly kind: 'absent' };

/** A group's Owner, and nobody below, may touch its hooks (doc/api/group_webhooks.md). */
const OWNER_ACCESS = 50;
/** The largest page of deliveries that GitLab gives (lib/api/hooks/events.rb). */
const DELIVERIES_A_PAGE = 20;

/** Hooks of projects, groups and the system. Rejects with ErrorAnswer, NotFound or Retry, as the requester does. */
export class WebhookClient {
  readonly #requester: BaseResource['requester'];

  /** The token needs the scope `api`. */
  constructor(options: GitLabOptions) {
    const resource = new BaseResource({
      host: options.url,
      oauthToken: options.token,
      requesterFn: createTransport(options),
      queryTimeout: null,
      rateLimits: {},
    });
    this.#requester = resource.requester;
  }

  /** All hooks of an owner itself, without those of groups above it. */
  list(owner: HookOwner): AsyncIterable<Hook> {
    return this.#pages(hookSchema, hooksOf(owner), 100);
  }

  async get(owner: HookOwner, id: number): Promise<Hook> {
    return this.#hook(await this.#requester.get(`${hooksOf(owner)}/${id}`), owner);
  }

  async add(owner: HookOwner, settings: HookSettings): Promise<Hook> {
    return this.#hook(await this.#requester.post(hooksOf(owner), { body: settings }), owner);
  }

  async change(owner: HookOwner, id: number, settings: HookSettings): Promise<Hook> {
    return this.#hook(await this.#requester.put(`${hooksOf(owner)}/${id}`, { body: settings }), owner);
  }

  async remove(owner: HookOwner, id: number): Promise<void> {
    await this.#requester.delete(`${hooksOf(owner)}/${id}`);
  }

  /** Has GitLab call a hook, a disabled one too, with data of the newest commits; a good answer enables it. Not for system hooks. */
  test(owner: HookOwner, id: number): Promise<CallResult> {
    return this.#call(`${hooksOf(owner)}/${id}/test/tag_push_events`);
  }

  /** Sends a delivery again, unless the hook is disabled. Not for system hooks. */
  resend(owner: HookOwner, id: number, delivery: number): Promise<CallResult> {
    return this.#call(`${hooksOf(owner)}/${id}/events/${delivery}/resend`);
  }

  /** The deliveries of the last days, newest first. Not for system hooks. */
  deliveries(owner: HookOwner, id: number): AsyncIterable<Delivery> {
    return this.#pages(deliverySchema, `${hooksOf(owner)}/${id}/events`, DELIVERIES_A_PAGE);
  }

  /** Whether the token may touch a group's hooks, if there are any: it is an Owner's, by whichever way, or an administrator's. */
  async ownsGroup(path: string): Promise<boolean> {
    const { body } = await this.#requester.get('user');
    const user = parse(z.object({ id: z.number().int(), is_admin: z.boolean().nullish() }), body, 'user');
    if (user?.is_admin === true) return true;
    try {
      const member = await this.#requester.get(`groups/${encodeURIComponent(path)}/members/all/${user?.id}`);
      return (parse(z.object({ access_level: z.number() }), member.body, 'member')?.access_level ?? 0) >= OWNER_ACCESS;
    } catch (error) {
      if (error instanceof NotFound) return false;
      throw error;
    }
  }

  async #call(endpoint: string): Promise<CallResult> {
    try {
      const { body } = await this.#requester.post(endpoint);
      const answer = z.object({ response_status: z.coerce.string() }).safeParse(body);
      return { kind: 'sent', status: answer.data?.response_status ?? '' };
    } catch (error) {
      if (error instanceof NotFound) return { kind: 'absent' };
      if (error instanceof ErrorAnswer && error.status === 429) return { kind: 'limited' };
      if (error instanceof ErrorAnswer && error.status === 422) return { kind: 'failed', words: wordsOf(error.text) };
      throw error;
    }
  }

  #hook({ body }: { body: unknown }, owner: HookOwner): Hook {
    return parse(hookSchema, body, hooksOf(owner)) as Hook;
  }

  async *#pages<T>(schema: z.ZodType<T>, endpoint: string, size: number): AsyncGenerator<T> {
    let query: Record<string, string> | undefined = { per_page: `${size}` };
    while (query) {
      const page: Page = await this.#requester.get(endpoint, { searchParams: query });
      yield* parse(z.array(schema), page.body, endpoint) ?? [];
      query = nextQuery(page);
    }
  }
}

/** The words in the body of an error: `{"message": …}`, `{"error": …}`, or whatever it is. */
export function wordsOf(text: string): string {
  const inner = z.union([z.object({ message: z.unknown() }), z.object({ error: z.unknown() })]);
  try {
    const body = inner.parse(JSON.parse(text));
    const words = 'message' in body ? body.message : body.error;
    return oneLine(typeof words === 'string' ? words : JSON.stringify(words));
  } catch {
    // No JSON, or cut off: a proxy's page, say.
    return oneLine(text);
  }
}

function oneLine(text: string): string {
  return text
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, 200);
}

function hooksOf(owner: HookOwner): string {
  if (owner.kind === 'system') return 'hooks';
  return owner.kind === 'project' ? `projects/${owner.id}/hooks` : `groups/${encodeURIComponent(owner.path)}/hooks`;
}
