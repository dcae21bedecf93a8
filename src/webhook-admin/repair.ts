import type { Delivery, Hook, HookOwner } from '../gitlab/webhooks.ts';
import { forOwner } from './failure.ts';
import { examine, firstDeliveries, hasArrived, isWell, type Health } from './examine.ts';
import type { HookParts, Place } from './places.ts';
import { registerHook } from './register.ts';

/** What became of failed deliveries. */
export interface Resent {
  readonly arrived: number;
  readonly failed: number;
  /** Not sent again, since GitLab allows five a minute. */
  readonly left: number;
}

/** A hook after its repair. */
export interface Repaired {
  readonly health: Health;
  /** What was done, in words. */
  readonly done: readonly string[];
  readonly resent: Resent;
}

type Parts = Omit<HookParts, 'gitlab'>;

/** GitLab allows as many a minute, for a user and a group or project (doc/administration/settings/rate_limit_on_webhook_operations.md). */
const RESENDS = 5;
/** How far deliveries are looked back at. */
const LOOK_BACK_MS = 24 * 3_600_000;
const LOOK_BACK_DELIVERIES = 200;
const NOTHING: Resent = { arrived: 0, failed: 0, left: 0 };

/**
 * Registers a hook that is missing, sets one right that is not well, secrets included, enables it by a test, and sends what
 * has not arrived within a day again, as far as GitLab allows. Rejects with HookFailure, or Retry.
 */
export async function repairHook(parts: Parts, place: Place): Promise<Repaired> {
  const { owner, hook } = place;
  // Before any test of ours fails as well.
  const lost = hook === undefined ? [] : await forOwner(owner, () => lostDeliveries(parts, owner, hook));
  const found = hook && (await examine(parts, owner, hook));
  if (found && isWell(found) && found.tested.result === 'reached') {
    return { health: found, done: [], resent: await resend(parts, owner, found.hook, lost) };
  }
  const registered = await registerHook(parts, place);
  const health = await examine(parts, owner, registered.hook, true);
  const enabled = hook !== undefined && hook.state !== 'executable' && health.hook.state === 'executable';
  const done = [
    registered.done === 'registered' ? 'registered' : 'settings and secret set again',
    ...(enabled ? ['enabled'] : []),
  ];
  return { health, done, resent: isWell(health) ? await resend(parts, owner, health.hook, lost) : NOTHING };
}

/** What has not arrived, and has not been sent again with success either: oldest first. */
async function lostDeliveries({ hooks }: Parts, owner: HookOwner, { id }: Hook): Promise<Delivery[]> {
  if (owner.kind === 'system') return [];
  const deliveries = (await firstDeliveries(hooks, owner, id, LOOK_BACK_DELIVERIES)) ?? [];
  const since = Date.now() - LOOK_BACK_MS;
  const arrived = new Set(deliveries.filter(hasArrived).map(({ key }) => key));
  const lost = deliveries.filter(({ key, at }) => !arrived.has(key) && (at === undefined || at.getTime() >= since));
  return [...new Map(lost.map((delivery) => [delivery.key, delivery])).values()].toReversed();
}

async function resend({ hooks }: Parts, owner: HookOwner, { id }: Hook, lost: readonly Delivery[]): Promise<Resent> {
  let [arrived, failed] = [0, 0];
  for (const delivery of lost.slice(0, RESENDS)) {
    const result = await forOwner(owner, () => hooks.resend(owner, id, delivery.id));
    if (result.kind === 'limited') break;
    if (result.kind === 'sent' && hasArrived(result)) arrived += 1;
    else failed += 1;
  }
  return { arrived, failed, left: lost.length - arrived - failed };
}
