import { GitLabNotFound } from '../gitlab/error-response.ts';
import type { Delivery, Hook, HookOwner } from '../gitlab/webhooks.ts';
import { missingSecrets, wrongSettings } from './desired-settings.ts';
import { explainErrors } from './hook-failure.ts';
import type { WebhookAdminParts } from './webhook-locations.ts';

/** The result of a test call. Its fields are part of the JSON output of `modpress hooks check`. */
export type TestResult =
  | { readonly result: 'reached' }
  | { readonly result: 'wrong secret' }
  /** The service refused the call or did not answer. `problem` says what GitLab reported. */
  | { readonly result: 'failed'; readonly problem: string }
  /** `harmless` is true if the webhook counts as healthy without a test. */
  | { readonly result: 'untested'; readonly why: string; readonly harmless: boolean };

/** The results of the last deliveries, including tests. */
export interface DeliverySummary {
  readonly succeeded: number;
  readonly failed: number;
  readonly lastFailure: Delivery | undefined;
}

/** The result of an inspection of an existing webhook. */
export interface HookHealth {
  readonly hook: Hook;
  /** Wrong settings and missing secrets. */
  readonly faults: readonly string[];
  readonly tested: TestResult;
  /** Undefined if GitLab does not report deliveries. */
  readonly deliveries: DeliverySummary | undefined;
}

type Parts = Omit<WebhookAdminParts, 'gitlab'>;

/** The maximum number of deliveries in the summary. */
const SUMMARIZED_DELIVERIES = 20;

/** Whether a webhook works. Past deliveries that failed do not count. */
export function isHookHealthy({ hook, faults, tested }: HookHealth): boolean {
  const works = tested.result === 'reached' || (tested.result === 'untested' && tested.harmless);
  return works && faults.length === 0 && hook.state === 'executable';
}

/**
 * Inspects a webhook and makes GitLab send a test delivery. A disabled webhook is tested only with `enable`, because a
 * successful test enables it (app/models/concerns/web_hooks/auto_disabling.rb). Rejects with HookFailure or Retry.
 */
export async function inspectHook(
  { hooks, desired }: Parts,
  owner: HookOwner,
  hook: Hook,
  { enable = false }: { readonly enable?: boolean } = {},
): Promise<HookHealth> {
  return explainErrors(owner, async () => {
    const faults = [...wrongSettings(hook, owner.kind), ...missingSecrets(hook, desired)];
    if (owner.kind === 'system') {
      const why = 'GitLab does not report the results of system hooks';
      return { hook, faults, tested: { result: 'untested', why, harmless: true }, deliveries: undefined };
    }
    const before = await newestDeliveries(hooks, owner, hook.id, SUMMARIZED_DELIVERIES);
    const deliveries = before && summarize(before);
    if (hook.state !== 'executable' && !enable) {
      const why = 'a successful test would enable it; use --repair';
      return { hook, faults, tested: { result: 'untested', why, harmless: false }, deliveries };
    }
    const tested = await testHook(hooks, owner, hook.id, before?.[0]?.id);
    const after = hook.state === 'executable' ? hook : await hooks.get(owner, hook.id);
    return { hook: after, faults, tested, deliveries };
  });
}

/** Makes GitLab send a test delivery. `previousId` is the id of the newest delivery before the test. */
async function testHook(
  hooks: Parts['hooks'],
  owner: HookOwner,
  hookId: number,
  previousId: number | undefined,
): Promise<TestResult> {
  const call = await hooks.test(owner, hookId);
  if (call.kind === 'sent') return { result: 'reached' };
  if (call.kind === 'limited')
    return { result: 'untested', why: 'GitLab allows 5 tests per minute; try again in a minute', harmless: false };
  if (call.kind === 'absent')
    return { result: 'untested', why: 'the API of this GitLab version cannot test webhooks', harmless: false };
  // The response contains the text of the receiver, but not its status. GitLab stores the test delivery before it
  // responds (log_execution in app/services/web_hook_service.rb). If there is no new delivery, GitLab did not call the
  // service.
  const newest = (await newestDeliveries(hooks, owner, hookId, SUMMARIZED_DELIVERIES))?.[0];
  if (newest === undefined || newest.id === previousId) {
    // GitLab refuses a test in a project without commits (app/services/test_hooks). Such a project has no tags.
    return { result: 'untested', why: `GitLab reports: ${call.message}`, harmless: /commit/i.test(call.message) };
  }
  if (newest.status === '401') return { result: 'wrong secret' };
  const problem = /^\d+$/.test(newest.status)
    ? `the service answered ${newest.status}`
    : 'GitLab cannot reach the service';
  return { result: 'failed', problem: call.message === '' ? problem : `${problem}: ${call.message}` };
}

/**
 * Resolves to the newest deliveries of a webhook, at most `limit`. Resolves to undefined if this GitLab version does
 * not report deliveries.
 */
export async function newestDeliveries(
  hooks: Parts['hooks'],
  owner: HookOwner,
  hookId: number,
  limit: number,
): Promise<Delivery[] | undefined> {
  const deliveries: Delivery[] = [];
  try {
    for await (const delivery of hooks.deliveries(owner, hookId)) {
      deliveries.push(delivery);
      if (deliveries.length === limit) break;
    }
  } catch (error) {
    if (error instanceof GitLabNotFound) return undefined;
    throw error;
  }
  return deliveries;
}

/** Whether the receiver accepted a delivery. */
export function hasArrived({ status }: Pick<Delivery, 'status'>): boolean {
  return status.startsWith('2');
}

function summarize(deliveries: readonly Delivery[]): DeliverySummary {
  const failures = deliveries.filter((delivery) => !hasArrived(delivery));
  return { succeeded: deliveries.length - failures.length, failed: failures.length, lastFailure: failures[0] };
}
