import { expect, test } from 'vitest';
import { ClientLimits } from '../../src/proxy/client-limits.ts';
import type { OnDemandRequest } from '../../src/requests/on-demand-request.ts';
import { MAX_WAITING_REQUESTS } from '../../src/requests/requests.ts';
import { modulePath } from './modules.ts';

function info(module: number, query: number): OnDemandRequest {
  return { kind: 'info', module: modulePath(`gitlab.example/group/m${module}`), query: `q${query}` };
}

/** Sends requests as the client `a` until one is refused. Returns the functions that end them. */
function fill(limits: ClientLimits, requestAt: (index: number) => OnDemandRequest): (() => void)[] {
  const entered: (() => void)[] = [];
  for (let leave = limits.enter('a', requestAt(0)); leave; leave = limits.enter('a', requestAt(entered.length)))
    entered.push(leave);
  return entered;
}

test('a client may have 1,000 different requests for a module, and more for other modules', () => {
  const limits = new ClientLimits();
  const entered = fill(limits, (index) => info(0, index));
  expect(entered).toHaveLength(1_000);
  expect(limits.enter('a', info(0, 7))).toBeDefined();
  expect(limits.enter('a', info(1, 0))).toBeDefined();
  expect(limits.enter('b', info(0, 5_000))).toBeDefined();
  // The second of two equal requests still waits.
  entered[7]?.();
  expect(limits.enter('a', info(0, 5_000))).toBeUndefined();
  entered[8]?.();
  expect(limits.enter('a', info(0, 5_000))).toBeDefined();
});

test('a client cannot fill the queue with requests for many modules', () => {
  const limits = new ClientLimits();
  const entered = fill(limits, (index) => info(index, 0));
  expect(entered.length).toBeLessThan(MAX_WAITING_REQUESTS);
  expect(limits.enter('b', info(0, 0))).toBeDefined();
  for (const leave of entered) leave();
  expect(fill(limits, (index) => info(index, 1))).toHaveLength(entered.length);
});
