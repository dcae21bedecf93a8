import type { Delivery, Hook, HookOwner } from '../gitlab/webhooks.ts';
import { GitLabNotFound } from '../gitlab/error-response.ts';
import { forOwner } from './failure.ts';
import type { HookParts } from './places.ts';
import { differences, missingSecrets } from './wanted.ts';

/** What a test call has shown. */
export type Tested =
  | { readonly result: 'reached' }
  | { readonly result: 'wrong secret' }
  /** The service did not take it, or there was no answer; `problem` says what GitLab saw. */
  | { readonly result: 'failed'; readonly problem: string }
  /** `harmless` is where nothing could be told that matters. */
  | { readonly result: 'untested'; readonly why: string; readonly harmless: boolean };

/** What the last deliveries were answered, tests included. */
export interface Deliveries {
  readonly succeeded: number;
  readonly failed: number;
  readonly lastFailure: Delivery | undefined;
}

/** A hook that is there, as it was found. */
export interface Health {
  readonly hook: Hook;
  /** What is not set as it should be. */
  readonly faults: readonly string[];
  readonly tested: Tested;
  /** Undefined where GitLab does not tell. */
  readonly deliveries: Deliveries | undefined;
}

type Parts = Omit<HookParts, 'gitlab'>;

/** Whether a hook does what it is for. Deliveries that failed in the past are no objection. */
export function isWell({ hook, faults, tested }: Health): boolean {
  const works = tested.result === 'reached' || (tested.result === 'untested' && tested.harmless);
  return works && faults.length === 0 && hook.state === 'executable';
}

/**
 * Looks at a hook and has GitLab call it. One that is disabled is called only with `enable`: GitLab enables it after a good
 * answer (app/models/concerns/web_hooks/auto_disabling.rb). Rejects with HookFailure, or Retry.
 */
export async function examine({ hooks, wanted }: Parts, owner: HookOwner, hook: Hook, enable = false): Promise<Health> {
  return forOwner(owner, async () => {
    const faults = [...differences(hook, owner.kind), ...missingSecrets(hook, wanted)];
    if (owner.kind === 'system') {
      const why = 'GitLab does not tell what becomes of calls of system hooks';
      return { hook, faults, tested: { result: 'untested', why, harmless: true }, deliveries: undefined };
    }
    const before = await recent(hooks, owner, hook.id);
    const deliveries = before && tally(before);
    if (hook.state !== 'executable' && !enable) {
      const why = 'a test that succeeds enables it, which --repair does';
      return { hook, faults, tested: { result: 'untested', why, harmless: false }, deliveries };
    }
    const tested = await test(hooks, owner, hook.id, before?.[0]?.id);
    const after = hook.state === 'executable' ? hook : await hooks.get(owner, hook.id);
    return { hook: after, faults, tested, deliveries };
  });
}

/** `latest` is the newest delivery before the test. */
async function test(hooks: Parts['hooks'], owner: HookOwner, id: number, latest: number | undefined): Promise<Tested> {
  const call = await hooks.test(owner, id);
  if (call.kind === 'sent') return { result: 'reached' };
  if (call.kind === 'limited')
    return { result: 'untested', why: 'GitLab allows 5 tests a minute, try again in a minute', harmless: false };
  if (call.kind === 'absent')
    return { result: 'untested', why: 'this GitLab cannot test hooks by its API', harmless: false };
  // GitLab passes on what the receiver said, but not with which status. A test's delivery is noted before the answer comes
  // (log_execution in app/services/web_hook_service.rb); if there is none, nobody was called.
  const newest = (await recent(hooks, owner, id))?.[0];
  if (newest === undefined || newest.id === latest) {
    // Without any commit (app/services/test_hooks) there is no tag that could be missed either.
    return { result: 'untested', why: `GitLab says: ${call.message}`, harmless: /commit/i.test(call.message) };
  }
  if (newest.status === '401') return { result: 'wrong secret' };
  const answer = /^\d+$/.test(newest.status)
    ? `the service answered ${newest.status}`
    : 'GitLab does not reach the service';
  return { result: 'failed', problem: call.message === '' ? answer : `${answer}: ${call.message}` };
}

/** The last 20 deliveries, newest first; undefined where this GitLab does not tell them. */
async function recent(hooks: Parts['hooks'], owner: HookOwner, id: number): Promise<Delivery[] | undefined> {
  return firstDeliveries(hooks, owner, id, 20);
}

/** So many of the newest deliveries at most; undefined where this GitLab does not tell them. */
export async function firstDeliveries(
  hooks: Parts['hooks'],
  owner: HookOwner,
  id: number,
  limit: number,
): Promise<Delivery[] | undefined> {
  const deliveries: Delivery[] = [];
  try {
    for await (const delivery of hooks.deliveries(owner, id)) {
      deliveries.push(delivery);
      if (deliveries.length === limit) break;
    }
  } catch (error) {
    if (error instanceof GitLabNotFound) return undefined;
    throw error;
  }
  return deliveries;
}

/** Whether a delivery was taken. */
export function hasArrived({ status }: Pick<Delivery, 'status'>): boolean {
  return status.startsWith('2');
}

function tally(deliveries: readonly Delivery[]): Deliveries {
  const failures = deliveries.filter((delivery) => !hasArrived(delivery));
  return { succeeded: deliveries.length - failures.length, failed: failures.length, lastFailure: failures[0] };
}
