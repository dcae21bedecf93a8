/** Whose pushes a hook hears of. */
export type HookScope =
  | { readonly kind: 'project'; readonly id: number }
  | { readonly kind: 'group'; readonly id: number }
  | { readonly kind: 'system' };

/** What a person sets on a hook. */
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

/** One call of a hook, as `…/hooks/:id/events` shows it. */
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

/** Failures in a row that a hook survives, and those after which it is never called again (web_hooks/auto_disabling.rb). */
const graceFailures = 3;
const lastFailure = 39;
const firstBackoffMs = 60_000;
const longestBackoffMs = 24 * 3_600_000;

/** A webhook: its settings, what became of its calls, and whether GitLab still calls it. */
export class Hook {
  readonly id: number;
  readonly scope: HookScope;
  readonly settings: HookSettings;
  readonly createdAt = new Date();
  /** Newest first. */
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
    if (this.#failures > lastFailure) return 'disabled';
    const waiting = this.#disabledUntil !== null && this.#disabledUntil.getTime() >= Date.now();
    return this.#failures > graceFailures && waiting ? 'temporarily_disabled' : 'executable';
  }

  succeeded(): void {
    this.#failures = 0;
    this.#disabledUntil = null;
  }

  /** Counts a failure; the fourth in a row disables the hook for a minute, each further one for twice as long. System hooks never are. */
  failed(): void {
    if (this.scope.kind === 'system' || this.alertStatus !== 'executable') return;
    const pause = Math.min(firstBackoffMs * 2 ** (this.#failures - graceFailures), longestBackoffMs);
    this.#failures += 1;
    if (this.#failures > graceFailures) this.#disabledUntil = new Date(Date.now() + pause);
  }
}

/** All hooks of an instance. */
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

  /** The hooks of one project, of one group itself, or of the system. */
  of(scope: HookScope): readonly Hook[] {
    return [...this.#hooks.values()].filter((hook) => sameScope(hook.scope, scope));
  }
}

function sameScope(one: HookScope, other: HookScope): boolean {
  if (one.kind === 'system' || other.kind === 'system') return one.kind === other.kind;
  return one.kind === other.kind && one.id === other.id;
}
