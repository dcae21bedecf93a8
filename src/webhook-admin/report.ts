import { nameOf } from './failure.ts';
import type { Deliveries, Health, Tested } from './examine.ts';
import { isWell } from './examine.ts';
import type { Covered, Place } from './places.ts';
import type { Registered } from './register.ts';
import type { Repaired, Resent } from './repair.ts';

/** One line of a report: how it stands, whose hook, and what is said of it. */
export interface Line {
  readonly verdict: string;
  readonly name: string;
  readonly text: string;
}

/** A checked place: its hook, or that there is none, and what was mended. */
export interface Checked {
  readonly place: Place;
  readonly health: Health | undefined;
  readonly repaired: Omit<Repaired, 'health'> | undefined;
}

/** Lines for people. On a terminal their columns are aligned, for which `names` are all that there will be. */
export function textWriter(
  out: NodeJS.WritableStream & { readonly isTTY?: boolean },
  names: readonly string[],
): (line: Line) => void {
  const width = Math.max(0, ...names.map((name) => name.length));
  return ({ verdict, name, text }) => {
    const head = out.isTTY === true ? `${verdict.padEnd(10)}  ${name.padEnd(width)}  ` : `${verdict} ${name}: `;
    out.write(`${head}${text}\n`);
  };
}

/** What `hooks add` says of a place. */
export function registeredLine({ owner }: Place, { hook, done, changes }: Registered): Line {
  const text =
    done === 'registered'
      ? `hook ${hook.id}`
      : done === 'kept'
        ? `hook ${hook.id} is as it should be, its secret was set again`
        : `hook ${hook.id}: ${changes.join(', ')}`;
  return { verdict: done, name: nameOf(owner), text };
}

export function coveredLine({ owner, by }: Covered): Line {
  return { verdict: 'covered', name: nameOf(owner), text: `the hook of ${nameOf(by)} hears of its tags` };
}

/** Whether nothing is left to do for a place. */
export function isAllWell({ health }: Checked): boolean {
  return health !== undefined && isWell(health);
}

/** What `hooks check` says of a place. */
export function checkedLine(checked: Checked): Line {
  const { place, health, repaired } = checked;
  const name = nameOf(place.owner);
  if (health === undefined)
    return { verdict: 'MISSING', name, text: 'there is no hook: modpress hooks add registers it' };
  const parts = [
    ...(repaired?.done.length ? [`repaired (${repaired.done.join(', ')})`] : []),
    stateOf(health),
    ...health.faults,
    testOf(health.tested),
    ...(health.deliveries ? [deliveriesOf(health.deliveries)] : []),
    ...(repaired ? resentOf(repaired.resent) : []),
  ];
  return { verdict: isAllWell(checked) ? 'ok' : 'WRONG', name, text: `hook ${health.hook.id}: ${parts.join('; ')}` };
}

/** The same for programs; null is what is not there or not known. */
export function checkedObject(checked: Checked): object {
  const {
    place: { owner },
    health,
    repaired,
  } = checked;
  return {
    ...ownerObject(owner),
    ok: isAllWell(checked),
    hook: health?.hook.id ?? null,
    state: health?.hook.state ?? 'missing',
    disabledUntil: health?.hook.disabledUntil?.toISOString() ?? null,
    faults: health?.faults ?? [],
    test: health?.tested ?? null,
    deliveries: health?.deliveries ? deliveriesObject(health.deliveries) : null,
    ...(repaired && { repaired: repaired.done, resent: repaired.resent }),
  };
}

/** What is covered, for programs. Whether that hook is well is said with the hook. */
export function coveredObject({ owner, by }: Covered): object {
  return { ...ownerObject(owner), ok: true, state: 'covered', by: nameOf(by) };
}

function ownerObject(owner: Place['owner']): object {
  return { kind: owner.kind, path: owner.kind === 'system' ? null : owner.path };
}

function deliveriesObject({ succeeded, failed, lastFailure }: Deliveries): object {
  const last = lastFailure && { at: lastFailure.at?.toISOString() ?? null, status: lastFailure.status };
  return { succeeded, failed, lastFailure: last ?? null };
}

function stateOf({ hook }: Health): string {
  if (hook.state === 'executable') return 'enabled';
  if (hook.state === 'disabled') return 'disabled for good after too many failures';
  return `disabled until ${hook.disabledUntil?.toISOString() ?? 'some time'} after failures`;
}

function testOf(tested: Tested): string {
  if (tested.result === 'reached') return 'reaches the service';
  if (tested.result === 'failed') return tested.problem;
  if (tested.result === 'untested') return `not tested: ${tested.why}`;
  return 'has a wrong secret: the service answered 401; --repair sets it, if WEBHOOK_TOKEN or WEBHOOK_SIGNING_TOKEN are those of the service';
}

function deliveriesOf({ succeeded, failed, lastFailure }: Deliveries): string {
  if (succeeded + failed === 0) return 'no deliveries yet';
  const counts = `last deliveries: ${succeeded} arrived, ${failed} failed`;
  if (lastFailure === undefined) return counts;
  const when = lastFailure.at === undefined ? '' : ` at ${lastFailure.at.toISOString()}`;
  return `${counts}, the last one${when} with ${lastFailure.status}`;
}

function resentOf({ arrived, failed, left }: Resent): string[] {
  if (arrived + failed + left === 0) return [];
  const again = `sent again: ${arrived} arrived, ${failed} failed`;
  return [
    left === 0 ? again : `${again}, ${left} left, since GitLab allows 5 a minute; the sweep finds their tags anyway`,
  ];
}
