import type { Hook } from '../gitlab/webhooks.ts';
import { desiredSettings, hasNoSecret, missingSecrets, wrongSettings } from './desired-settings.ts';
import { explainErrors } from './hook-failure.ts';
import { findHook, type WebhookAdminParts, type WebhookLocation } from './webhook-locations.ts';

/** The result of a registration. */
export interface Registration {
  readonly hook: Hook;
  /**
   * `kept` means that the settings were right and only the secrets were set again, or that another command registered
   * the webhook at the same moment.
   */
  readonly done: 'registered' | 'changed' | 'kept';
  /** The settings that were wrong and the secrets that were missing. */
  readonly changes: readonly string[];
  /** Whether the service will refuse every delivery, because GitLab ignores signing tokens. */
  readonly noSecret: boolean;
}

/**
 * Registers the webhook of a location, or sets all settings of the existing one. Always sets the secrets again, because
 * GitLab does not show whether they are up to date. Rejects with HookFailure or Retry.
 */
export async function registerHook(
  parts: Omit<WebhookAdminParts, 'gitlab'>,
  { owner, hook }: WebhookLocation,
): Promise<Registration> {
  const { hooks, desired } = parts;
  const settings = desiredSettings(desired, owner.kind);
  return explainErrors(owner, async () => {
    if (hook === undefined) {
      const added = await hooks.add(owner, { ...settings, name: 'modpress', url: desired.url });
      // GitLab accepts the same URL twice. If two commands register it at the same time, both keep the older webhook.
      const oldest = (await findHook(parts, owner)) ?? added;
      if (oldest.id < added.id) await hooks.remove(owner, added.id);
      const done = oldest.id < added.id ? 'kept' : 'registered';
      return { hook: done === 'kept' ? oldest : added, done, changes: [], noSecret: hasNoSecret(added, desired) };
    }
    const changes = [...wrongSettings(hook, owner.kind), ...missingSecrets(hook, desired)];
    const changed = await hooks.change(owner, hook.id, settings);
    return {
      hook: changed,
      done: changes.length > 0 ? 'changed' : 'kept',
      changes,
      noSecret: hasNoSecret(changed, desired),
    };
  });
}
