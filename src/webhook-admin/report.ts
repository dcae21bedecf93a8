import { ownerName } from './hook-failure.ts';
import { isHookHealthy, type DeliverySummary, type HookHealth, type TestResult } from './inspect.ts';
import type { Registration } from './register.ts';
import type { Repair, ResendCounts } from './repair.ts';
import type { CoveredOwner, WebhookLocation } from './webhook-locations.ts';

/** One line of a report: the verdict, the name of the owner, and the details. */
export interface ReportLine {
  readonly verdict: string;
  readonly name: string;
  readonly text: string;
}

/** The result of a check of one location. */
export interface CheckResult {
  readonly location: WebhookLocation;
  /** Undefined if there is no webhook. */
  readonly health: HookHealth | undefined;
  /** Undefined without --repair. */
  readonly repair: Omit<Repair, 'health'> | undefined;
}

/**
 * Returns a function that writes report lines. On a terminal, it aligns the columns and therefore needs all `names` in
 * advance.
 */
export function lineWriter(
  out: NodeJS.WritableStream & { readonly isTTY?: boolean },
  names: readonly string[],
): (line: ReportLine) => void {
  const width = Math.max(0, ...names.map((name) => name.length));
  return ({ verdict, name, text }) => {
    const head = out.isTTY === true ? `${verdict.padEnd(10)}  ${name.padEnd(width)}  ` : `${verdict} ${name}: `;
    out.write(`${head}${text}\n`);
  };
}

/** Returns the line of `hooks add` for a location. */
export function registrationLine({ owner }: WebhookLocation, { hook, done, changes }: Registration): ReportLine {
  const text =
    done === 'registered'
      ? `webhook ${hook.id}`
      : done === 'kept'
        ? `webhook ${hook.id} has the right settings; its secret was set again`
        : `webhook ${hook.id}: ${changes.join(', ')}`;
  return { verdict: done, name: ownerName(owner), text };
}

/** Returns the line for a group or project that needs no webhook. */
export function coveredLine({ owner, by }: CoveredOwner): ReportLine {
  return { verdict: 'covered', name: ownerName(owner), text: `the webhook of ${ownerName(by)} also reports its tags` };
}

/** Whether a location has a webhook that works. */
export function isHealthy({ health }: CheckResult): boolean {
  return health !== undefined && isHookHealthy(health);
}

/** Returns the line of `hooks check` for a location. */
export function checkLine(check: CheckResult): ReportLine {
  const { location, health, repair } = check;
  const name = ownerName(location.owner);
  if (health === undefined)
    return { verdict: 'MISSING', name, text: 'there is no webhook; run modpress hooks add to register it' };
  const parts = [
    ...(repair?.done.length ? [`repaired (${repair.done.join(', ')})`] : []),
    stateText(health),
    ...health.faults,
    testText(health.tested),
    ...(health.deliveries ? [deliveriesText(health.deliveries)] : []),
    ...(repair ? resentText(repair.resent) : []),
  ];
  return { verdict: isHealthy(check) ? 'ok' : 'WRONG', name, text: `webhook ${health.hook.id}: ${parts.join('; ')}` };
}

/** Returns the JSON object of `hooks check` for a location. Null means that a value does not exist or is not known. */
export function checkObject(check: CheckResult): object {
  const {
    location: { owner },
    health,
    repair,
  } = check;
  return {
    ...ownerObject(owner),
    ok: isHealthy(check),
    hook: health?.hook.id ?? null,
    state: health?.hook.state ?? 'missing',
    disabledUntil: health?.hook.disabledUntil?.toISOString() ?? null,
    faults: health?.faults ?? [],
    test: health?.tested ?? null,
    deliveries: health?.deliveries ? deliveriesObject(health.deliveries) : null,
    ...(repair && { repaired: repair.done, resent: repair.resent }),
  };
}

/**
 * Returns the JSON object for a group or project that needs no webhook. The object of the covering group shows whether
 * its webhook works.
 */
export function coveredObject({ owner, by }: CoveredOwner): object {
  return { ...ownerObject(owner), ok: true, state: 'covered', by: ownerName(by) };
}

function ownerObject(owner: WebhookLocation['owner']): object {
  return { kind: owner.kind, path: owner.kind === 'system' ? null : owner.path };
}

function deliveriesObject({ succeeded, failed, lastFailure }: DeliverySummary): object {
  const last = lastFailure && { at: lastFailure.at?.toISOString() ?? null, status: lastFailure.status };
  return { succeeded, failed, lastFailure: last ?? null };
}

function stateText({ hook }: HookHealth): string {
  if (hook.state === 'executable') return 'enabled';
  if (hook.state === 'disabled') return 'permanently disabled after too many failures';
  return `disabled until ${hook.disabledUntil?.toISOString() ?? 'an unknown time'} after failures`;
}

function testText(tested: TestResult): string {
  if (tested.result === 'reached') return 'reaches the service';
  if (tested.result === 'failed') return tested.problem;
  if (tested.result === 'untested') return `not tested: ${tested.why}`;
  return 'has a wrong secret: the service answered 401; --repair sets the secret again if WEBHOOK_TOKEN and WEBHOOK_SIGNING_TOKEN have the same values here as in the service';
}

function deliveriesText({ succeeded, failed, lastFailure }: DeliverySummary): string {
  if (succeeded + failed === 0) return 'no deliveries yet';
  const counts = `last deliveries: ${succeeded} arrived, ${failed} failed`;
  if (lastFailure === undefined) return counts;
  const time = lastFailure.at === undefined ? '' : ` at ${lastFailure.at.toISOString()}`;
  return `${counts}, the last failure${time} with ${lastFailure.status}`;
}

function resentText({ arrived, failed, left }: ResendCounts): string[] {
  if (arrived + failed + left === 0) return [];
  const counts = `sent again: ${arrived} arrived, ${failed} failed`;
  return [
    left === 0 ? counts : `${counts}, ${left} not sent because GitLab allows 5 per minute; the sweep finds their tags`,
  ];
}
