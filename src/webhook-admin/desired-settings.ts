import type { Hook, HookOwner, HookSettings } from '../gitlab/webhooks.ts';

/** What every hook should be. */
export interface WantedHook {
  /** Where the service takes deliveries. */
  readonly url: string;
  /** Sent as it is in X-Gitlab-Token. */
  readonly token: string | undefined;
  /** Signs deliveries, from GitLab 19.0 on. */
  readonly signingToken: string | undefined;
}

/**
 * What is set on a hook of this kind, secrets aside: tags, and nothing that GitLab would turn on by itself
 * (doc/api/project_webhooks.md, doc/api/system_hooks.md). Only a system hook hears of repository updates.
 */
function eventsOf(kind: HookOwner['kind']): Readonly<Record<string, boolean>> {
  const tags = { push_events: false, tag_push_events: true, enable_ssl_verification: true };
  return kind === 'system' ? { ...tags, repository_update_events: true, merge_requests_events: false } : tags;
}

function secretsOf({ token, signingToken }: WantedHook): Readonly<Record<string, string>> {
  return { ...(token !== undefined && { token }), ...(signingToken !== undefined && { signing_token: signingToken }) };
}

/** All of what a hook should be, but for its address. */
export function settingsOf(wanted: WantedHook, kind: HookOwner['kind']): HookSettings {
  return { ...eventsOf(kind), ...secretsOf(wanted) };
}

/** Whether this is the hook that leads to the service. A port or slash that changes nothing does not make it another one. */
export function leadsTo(hook: Hook, wanted: WantedHook): boolean {
  return normalised(hook.url) === normalised(wanted.url);
}

function normalised(url: string): string {
  return URL.canParse(url) ? new URL(url).href.replace(/\/+$/, '') : url;
}

/** What is not as it should be, by GitLab's names. */
export function differences(hook: Hook, kind: HookOwner['kind']): string[] {
  return Object.entries(eventsOf(kind))
    .filter(([name, value]) => hook.settings[name] !== value)
    .map(([name, value]) => `${name} should be ${value}`);
}

/** The secrets that GitLab says are not set; of what it does not tell, before 19.0, nothing. */
export function missingSecrets(hook: Hook, { token, signingToken }: WantedHook): string[] {
  return [
    ...(token !== undefined && hook.tokenPresent === false ? ['token is not set'] : []),
    ...(signingToken !== undefined && hook.signingTokenPresent === false ? ['signing_token is not set'] : []),
  ];
}

/** Whether this GitLab has dropped the only secret, as those before 19.0 silently do: every delivery would be refused. */
export function hasNoSecret(hook: Hook, { token }: WantedHook): boolean {
  return token === undefined && hook.signingTokenPresent !== true;
}
