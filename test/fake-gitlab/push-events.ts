import type { Hook, HookList } from './hook.ts';
import type { HookDelivery, Message } from './hook-delivery.ts';
import type { HookPayload } from './hook-payload.ts';
import type { Instance, ProjectRecord } from './instance.ts';
import { zeroId, type RefChange } from './repository.ts';
import type { Token } from './tokens.ts';

/**
 * GitLab's `push_event_hooks_limit`. If a push has more changes of one kind, GitLab calls no webhook for any of them.
 */
const MAX_CHANGES_WITH_HOOKS = 3;

/** Calls webhooks for the changes of a push (app/services/git/process_ref_changes_service.rb). */
export class PushEvents {
  readonly #instance: Instance;
  readonly #hooks: HookList;
  readonly #payload: HookPayload;
  readonly #delivery: HookDelivery;
  readonly #groupHooks: boolean;

  constructor(parts: {
    instance: Instance;
    hooks: HookList;
    payload: HookPayload;
    delivery: HookDelivery;
    /** Whether the licence includes group webhooks. */
    groupHooks: boolean;
  }) {
    this.#instance = parts.instance;
    this.#hooks = parts.hooks;
    this.#payload = parts.payload;
    this.#delivery = parts.delivery;
    this.#groupHooks = parts.groupHooks;
  }

  /** Starts the deliveries for one push, and returns at once. */
  announce(project: ProjectRecord, changes: readonly RefChange[], user: Token): void {
    if (changes.length > 0) this.#delivery.track(this.#announce(project, changes, user));
  }

  async #announce(project: ProjectRecord, changes: readonly RefChange[], user: Token): Promise<void> {
    const calls: Promise<unknown>[] = [];
    const call = (hooks: readonly Hook[], message: Message): void => {
      calls.push(...hooks.map((hook) => this.#delivery.send(hook, message)));
    };

    const system = this.#hooks.of({ kind: 'system' });
    const updateHooks = system.filter((hook) => hook.settings.repository_update_events);
    if (updateHooks.length > 0) {
      const payload = await this.#payload.repositoryUpdate(project, changes, user);
      call(updateHooks, { trigger: 'repository_update_hooks', payload });
    }

    const all = [...this.#projectAndGroupHooks(project), ...system];
    for (const isTag of [true, false]) {
      const hooks = all.filter((hook) => (isTag ? hook.settings.tag_push_events : hook.settings.push_events));
      if (hooks.length === 0) continue;
      const trigger = isTag ? 'tag_push_hooks' : 'push_hooks';
      const prefix = isTag ? 'refs/tags/' : 'refs/heads/';
      for (const group of byAction(changes.filter(({ ref }) => ref.startsWith(prefix)))) {
        if (group.length > MAX_CHANGES_WITH_HOOKS) continue;
        for (const change of group) call(hooks, { trigger, payload: await this.#payload.push(project, change, user) });
      }
    }
    await Promise.all(calls);
  }

  #projectAndGroupHooks(project: ProjectRecord): readonly Hook[] {
    const groups = this.#groupHooks ? this.#instance.ancestors(project.fullPath) : [];
    return [
      ...this.#hooks.of({ kind: 'project', id: project.id }),
      ...groups.flatMap(({ id }) => this.#hooks.of({ kind: 'group', id })),
    ];
  }
}

/** Groups changes by action, because GitLab counts created, removed and moved refs separately. */
function byAction(changes: readonly RefChange[]): readonly (readonly RefChange[])[] {
  return [
    changes.filter(({ before }) => before === zeroId),
    changes.filter(({ after }) => after === zeroId),
    changes.filter(({ before, after }) => before !== zeroId && after !== zeroId),
  ];
}
