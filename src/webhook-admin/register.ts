import type { Hook } from '../gitlab/webhooks.ts';
import { forOwner } from './failure.ts';
import { findHook, type HookParts, type Place } from './places.ts';
import { differences, hasNoSecret, missingSecrets, settingsOf } from './wanted.ts';

/** What was done for a place. */
export interface Registered {
  readonly hook: Hook;
  /** `kept` is where nothing but the secrets was set again. */
  readonly done: 'registered' | 'changed' | 'kept';
  /** What was changed, and from what GitLab was without. */
  readonly changes: readonly string[];
  /** Whether every delivery will be refused, since GitLab ignores signing tokens. */
  readonly noSecret: boolean;
}

/**
 * Makes the hook of a place what it should be, and registers it if there is none. The secrets are set again in any case: GitLab
 * does not tell which they are, and after a rotation the old ones are as present as the new. Rejects with HookFailure, or Retry.
 */
export async function registerHook(parts: Omit<HookParts, 'gitlab'>, { owner, hook }: Place): Promise<Registered> {
  const { hooks, wanted } = parts;
  const settings = settingsOf(wanted, owner.kind);
  return forOwner(owner, async () => {
    if (hook === undefined) {
      const added = await hooks.add(owner, { ...settings, name: 'modpress', url: wanted.url });
      // GitLab takes the same address twice. If somebody else has registered it at the same time, both keep the older one.
      const oldest = (await findHook(parts, owner)) ?? added;
      if (oldest.id < added.id) await hooks.remove(owner, added.id);
      const done = oldest.id < added.id ? 'kept' : 'registered';
      return { hook: done === 'kept' ? oldest : added, done, changes: [], noSecret: hasNoSecret(added, wanted) };
    }
    const changes = [...differences(hook, owner.kind), ...missingSecrets(hook, wanted)];
    const changed = await hooks.change(owner, hook.id, settings);
    return {
      hook: changed,
      done: changes.length > 0 ? 'changed' : 'kept',
      changes,
      noSecret: hasNoSecret(changed, wanted),
    };
  });
}
