/** The owner of a webhook. The webhook receives the pushes to the projects of its owner. */
export type HookScope =
  | { readonly kind: 'project'; readonly id: number }
  | { readonly kind: 'group'; readonly id: number }
  | { readonly kind: 'system' };

/** The settings of a webhook. */
export interface HookSettings {
  url: string;
  name: string | null;
  description: string | null;
  push_events: boolean;
  tag_push_events: boolean;
  repository_update_events: boolean;
  merge_requests_events: boolean;
  enable_ssl_verification: boolean;
  push_events_branch_filter: string | null;
  token: string | null;
  signing_token: string | null;
}

/** One call of a webhook, as `…/hooks/:id/events` shows it. */
export interface HookEvent {
  readonly id: number;
  readonly url: string;
  readonly trigger: string;
  readonly request_headers: Readonly<Record<string, string>>;
  readonly request_data: object;
  readonly response_headers: Readonly<Record<string, string>>;
  readonly response_body: string;
  readonly execution_duration: number;
  readonly response_status: string;
  readonly created_at: string;
}

export type AlertStatus = 'executable' | 'temporarily_disabled' | 'disabled';

/**
 * A webhook is not disabled by GRACE_FAILURES consecutive failures. After more than LAST_FAILURE, GitLab never calls it
 * again (web_hooks/auto_disabling.rb).
 */
const GRACE_FAILURES = 3;
const LAST_FAILURE = 39;
const FIRST_BACKOFF_MS = 60_000;
const LONGEST_BACKOFF_MS = 24 * 3_600_000;

/** A webhook, with its settings, the results of its calls, and whether GitLab still calls it. */
export class Hook {
  readonly id: number;
  readonly scope: HookScope;
  readonly settings: HookSettings;
  readonly createdAt = new Date();
  /** The calls, newest first. */
  readonly events: HookEvent[] = [];
  #failures = 0;
  #disabledUntil: Date | null = null;

  constructor(id: number, scope: HookScope, settings: HookSettings) {
    this.id = id;
    this.scope = scope;
    this.settings = settings;
  }

  get disabledUntil(): Date | null {
    return this.#disabledUntil;
  }

  get alertStatus(): AlertStatus {
    if (this.#failures > LAST_FAILURE) return 'disabled';
    const waiting = this.#disabledUntil !== null && this.#disabledUntil.getTime() >= Date.now();
    return this.#failures > GRACE_FAILURES && waiting ? 'temporarily_disabled' : 'executable';
  }

  succeeded(): void {
    this.#failures = 0;
    this.#disabledUntil = null;
  }

  /**
   * Counts a failure. The fourth consecutive failure disables the webhook for a minute, and each further failure
   * doubles this time. System hooks are never disabled.
   */
  failed(): void {
    if (this.scope.kind === 'system' || this.alertStatus !== 'executable') return;
    const pause = Math.min(FIRST_BACKOFF_MS * 2 ** (this.#failures - GRACE_FAILURES), LONGEST_BACKOFF_MS);
    this.#failures += 1;
    if (this.#failures > GRACE_FAILURES) this.#disabledUntil = new Date(Date.now() + pause);
  }
}

/** All webhooks of an instance. */
export class HookList {
  readonly #hooks = new Map<number, Hook>();
  #lastId = 0;

  add(scope: HookScope, settings: HookSettings): Hook {
    const hook = new Hook(++this.#lastId, scope, settings);
    this.#hooks.set(hook.id, hook);
    return hook;
  }

  remove(hook: Hook): void {
    this.#hooks.delete(hook.id);
  }

  /** Returns the webhooks of one project, of one group without its parents, or of the system. */
  of(scope: HookScope): readonly Hook[] {
    return [...this.#hooks.values()].filter((hook) => sameScope(hook.scope, scope));
  }
}

function sameScope(one: HookScope, other: HookScope): boolean {
  if (one.kind === 'system' || other.kind === 'system') return one.kind === other.kind;
  return one.kind === other.kind && one.id === other.id;
}
