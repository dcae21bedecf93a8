import type { Hook, HookOwner, HookSettings } from '../gitlab/webhooks.ts';

/** The address and secrets that every webhook should have. */
export interface DesiredHook {
  /** The URL at which the service receives deliveries. */
  readonly url: string;
  /** The secret that GitLab sends unchanged in the header X-Gitlab-Token. */
  readonly token: string | undefined;
  /** The secret with which GitLab signs deliveries, from version 19.0. */
  readonly signingToken: string | undefined;
}

/**
 * Returns the settings of a webhook of this kind, without its secrets. They enable tag events, and disable the events
 * that GitLab enables by default (doc/api/project_webhooks.md, doc/api/system_hooks.md). Only a system hook has
 * repository update events.
 */
function eventSettings(kind: HookOwner['kind']): Readonly<Record<string, boolean>> {
  const tags = { push_events: false, tag_push_events: true, enable_ssl_verification: true };
  return kind === 'system' ? { ...tags, repository_update_events: true, merge_requests_events: false } : tags;
}

function secretSettings({ token, signingToken }: DesiredHook): Readonly<Record<string, string>> {
  return { ...(token !== undefined && { token }), ...(signingToken !== undefined && { signing_token: signingToken }) };
}

/** Returns all settings that a webhook should have, without its URL. */
export function desiredSettings(desired: DesiredHook, kind: HookOwner['kind']): HookSettings {
  return { ...eventSettings(kind), ...secretSettings(desired) };
}

/**
 * Whether a webhook points to the service. URLs that differ only in a default port or in trailing slashes are equal.
 */
export function pointsToService(hook: Hook, desired: DesiredHook): boolean {
  return normalizedUrl(hook.url) === normalizedUrl(desired.url);
}

function normalizedUrl(url: string): string {
  return URL.canParse(url) ? new URL(url).href.replace(/(?<!\/)\/+$/, '') : url;
}

/** Returns the wrong settings of a webhook, with the names in GitLab: `push_events should be false`. */
export function wrongSettings(hook: Hook, kind: HookOwner['kind']): string[] {
  return Object.entries(eventSettings(kind))
    .filter(([name, value]) => hook.settings[name] !== value)
    .map(([name, value]) => `${name} should be ${value}`);
}

/**
 * Returns the secrets that are not set according to GitLab. The list is empty before GitLab 19.0, which does not report
 * secrets.
 */
export function missingSecrets(hook: Hook, { token, signingToken }: DesiredHook): string[] {
  return [
    ...(token !== undefined && hook.tokenPresent === false ? ['token is not set'] : []),
    ...(signingToken !== undefined && hook.signingTokenPresent === false ? ['signing_token is not set'] : []),
  ];
}

/**
 * Whether a webhook that was just written has no secret, so that the service will refuse every delivery. GitLab before
 * 19.0 ignores signing tokens without an error.
 */
export function hasNoSecret(hook: Hook, { token }: DesiredHook): boolean {
  return token === undefined && hook.signingTokenPresent !== true;
}
