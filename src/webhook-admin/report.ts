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

/** Returns a function that writes report lines. On a terminal it aligns the columns, for which it needs all `names` in advance. */
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

/** The line of `hooks add` for a location. */
export function registrationLine({ owner }: WebhookLocation, { hook, done, changes }: Registration): ReportLine {
  const text =
    done === 'registered'
      ? `hook ${hook.id}`
      : done === 'kept'
        ? `hook ${hook.id} is already right; its secret was set again`
        : `hook ${hook.id}: ${changes.join(', ')}`;
  return { verdict: done, name: ownerName(owner), text };
}

/** The line for a group or project that needs no webhook. */
export function coveredLine({ owner, by }: CoveredOwner): ReportLine {
  return { verdict: 'covered', name: ownerName(owner), text: `the hook of ${ownerName(by)} also reports its tags` };
}

/** Whether a location has a webhook that works. */
export function isHealthy({ health }: CheckResult): boolean {
  return health !== undefined && isHookHealthy(health);
}

/** The line of `hooks check` for a location. */
export function checkLine(check: CheckResult): ReportLine {
  const { location, health, repair } = check;
  const name = ownerName(location.owner);
  if (health === undefined)
    return { verdict: 'MISSING', name, text: 'there is no hook: modpress hooks add registers it' };
  const parts = [
    ...(repair?.done.length ? [`repaired (${repair.done.join(', ')})`] : []),
    stateText(health),
    ...health.faults,
    testText(health.tested),
    ...(health.deliveries ? [deliveriesText(health.deliveries)] : []),
    ...(repair ? resentText(repair.resent) : []),
  ];
  return { verdict: isHealthy(check) ? 'ok' : 'WRONG', name, text: `hook ${health.hook.id}: ${parts.join('; ')}` };
}

/** The JSON object of `hooks check` for a location. Null stands for what does not exist or is not known. */
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

/** The JSON object for a group or project that needs no webhook. The object of the covering group says whether its webhook works. */
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
  if (hook.state === 'disabled') return 'disabled for good after too many failures';
  return `disabled until ${hook.disabledUntil?.toISOString() ?? 'an unknown time'} after failures`;
}

function testText(tested: TestResult): string {
  if (tested.result === 'reached') return 'reaches the service';
  if (tested.result === 'failed') return tested.problem;
  if (tested.result === 'untested') return `not tested: ${tested.why}`;
  return 'has a wrong secret: the service answered 401; --repair sets it again if WEBHOOK_TOKEN and WEBHOOK_SIGNING_TOKEN are the same here as in the service';
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
    left === 0 ? counts : `${counts}, ${left} left because GitLab allows 5 a minute; the sweep finds their tags anyway`,
  ];
}
