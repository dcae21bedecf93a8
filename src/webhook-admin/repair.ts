import type { Delivery, Hook, HookOwner } from '../gitlab/webhooks.ts';
import { explainErrors } from './hook-failure.ts';
import { hasArrived, inspectHook, isHookHealthy, newestDeliveries, type HookHealth } from './inspect.ts';
import { registerHook } from './register.ts';
import type { WebhookAdminParts, WebhookLocation } from './webhook-locations.ts';

/**
 * The numbers of lost deliveries, by the result of sending them again. The field names are part of the JSON output of
 * `modpress hooks check`.
 */
export interface ResendCounts {
  readonly arrived: number;
  readonly failed: number;
  /** Deliveries that were not sent again, because GitLab allows only five per minute. */
  readonly left: number;
}

/** The result of a repair. */
export interface Repair {
  /** The webhook after the repair. */
  readonly health: HookHealth;
  /** The actions of the repair, in words. */
  readonly done: readonly string[];
  readonly resent: ResendCounts;
}

type Parts = Omit<WebhookAdminParts, 'gitlab'>;

/**
 * GitLab's limit on sending deliveries again, per minute, user, and group or project
 * (doc/administration/settings/rate_limit_on_webhook_operations.md).
 */
const MAX_RESENDS = 5;
/** The maximum age of a lost delivery that is sent again. */
const LOOK_BACK_MS = 24 * 3_600_000;
/** The maximum number of deliveries that are read to find lost ones. */
const LOOK_BACK_DELIVERIES = 200;
const NOTHING_RESENT: ResendCounts = { arrived: 0, failed: 0, left: 0 };

/**
 * Registers a missing webhook. Sets the settings and secrets of an unhealthy webhook again, and enables it by a test.
 * Then sends the lost deliveries of the last day again, as many as GitLab allows. Rejects with HookFailure or Retry.
 */
export async function repairHook(parts: Parts, location: WebhookLocation): Promise<Repair> {
  const { owner, hook } = location;
  // The deliveries are read before the test, because a failed test would count as a lost delivery too.
  const lost = hook === undefined ? [] : await explainErrors(owner, () => lostDeliveries(parts, owner, hook));
  const before = hook && (await inspectHook(parts, owner, hook));
  if (before && isHookHealthy(before) && before.tested.result === 'reached') {
    return { health: before, done: [], resent: await resend(parts, owner, before.hook, lost) };
  }
  const registration = await registerHook(parts, location);
  const health = await inspectHook(parts, owner, registration.hook, { enable: true });
  const wasEnabled = hook !== undefined && hook.state !== 'executable' && health.hook.state === 'executable';
  const done = [
    registration.done === 'registered' ? 'registered' : 'settings and secret set again',
    ...(wasEnabled ? ['enabled'] : []),
  ];
  const resent = isHookHealthy(health) ? await resend(parts, owner, health.hook, lost) : NOTHING_RESENT;
  return { health, done, resent };
}

/** Resolves to the deliveries that never arrived, not even when they were sent again. The oldest come first. */
async function lostDeliveries({ hooks }: Parts, owner: HookOwner, { id }: Hook): Promise<Delivery[]> {
  if (owner.kind === 'system') return [];
  const deliveries = (await newestDeliveries(hooks, owner, id, LOOK_BACK_DELIVERIES)) ?? [];
  const since = Date.now() - LOOK_BACK_MS;
  const arrived = new Set(deliveries.filter(hasArrived).map(({ key }) => key));
  const lost = deliveries.filter(({ key, at }) => !arrived.has(key) && (at === undefined || at.getTime() >= since));
  return [...new Map(lost.map((delivery) => [delivery.key, delivery])).values()].toReversed();
}

async function resend(
  { hooks }: Parts,
  owner: HookOwner,
  { id }: Hook,
  lost: readonly Delivery[],
): Promise<ResendCounts> {
  let [arrived, failed] = [0, 0];
  for (const delivery of lost.slice(0, MAX_RESENDS)) {
    const result = await explainErrors(owner, () => hooks.resend(owner, id, delivery.id));
    if (result.kind === 'limited') break;
    if (result.kind === 'sent' && hasArrived(result)) arrived += 1;
    else failed += 1;
  }
  return { arrived, failed, left: lost.length - arrived - failed };
}
