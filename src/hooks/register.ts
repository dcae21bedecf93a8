import type { Hook } from '../gitlab/hooks-client.ts';
import { forOwner } from './failure.ts';
import type { HookParts, Place } from './places.ts';
import { differences, hasNoSecret, missingSecrets, secretsUnknown, settingsOf } from './wanted.ts';

/** What was done for a place. */
export interface Registered {
  readonly hook: Hook;
  readonly done: 'registered' | 'changed' | 'kept';
  /** What was changed, and from what GitLab was without. */
  readonly changes: readonly string[];
  /** Whether every delivery will be refused, since GitLab ignores signing tokens. */
  readonly noSecret: boolean;
}

/**
 * Makes the hook of a place what it should be, and registers it if there is none. With `always`, the secrets are set again
 * even if some are there: GitLab does not tell which. Rejects with HookFailure, or Retry.
 */
export async function registerHook({ hooks, wanted }: Omit<HookParts, 'gitlab'>, { owner, hook }: Place, always = false): Promise<Registered> {
  const settings = settingsOf(wanted, owner.kind);
  return forOwner(owner, async () => {
    if (hook === undefined) {
      const added = await hooks.add(owner, { ...settings, name: 'modpress', url: wanted.url });
      return { hook: added, done: 'registered', changes: [], noSecret: hasNoSecret(added, wanted) };
    }
    const changes = [...differences(hook, owner.kind), ...missingSecrets(hook, wanted)];
    if (changes.length === 0 && !always && !secretsUnknown(hook)) return { hook, done: 'kept', changes, noSecret: hasNoSecret(hook, wanted) };
    const changed = await hooks.change(owner, hook.id, settings);
    return { hook: changed, done: 'changed', changes: changes.length > 0 ? changes : ['secret set again'], noSecret: hasNoSecret(changed, wanted) };
  });
}
