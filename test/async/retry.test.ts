import { describe, expect, test } from 'vitest';
import { CommandRetryPolicy } from '../../src/async/command-retry-policy.ts';
import { DeadlinePolicy } from '../../src/async/deadline-policy.ts';
import { retry, type RetryPolicy } from '../../src/async/retry.ts';
import { Retry } from '../../src/errors.ts';

/** Returns work that fails with each of `errors` in turn, and then succeeds. */
function failingWith(...errors: readonly Error[]): () => Promise<string> {
  const remaining = [...errors];
  return async () => {
    const error = remaining.shift();
    if (error) throw error;
    return 'done';
  };
}

function commandPolicy(): CommandRetryPolicy {
  return new CommandRetryPolicy((error) => error instanceof Retry);
}

/** Returns the wait after each of `attempts` failed attempts with this error, in ms. */
function waitsAfter(policy: CommandRetryPolicy, error: Error, attempts: number): (number | undefined)[] {
  return Array.from({ length: attempts }, (_, index) => policy.waitAfter(error, index + 1));
}

const noWait = async (): Promise<void> => undefined;

describe('retry', () => {
  const twice: RetryPolicy = { waitAfter: (_error, attempt) => (attempt <= 2 ? attempt * 10 : undefined) };

  test('returns the result of the first successful attempt, and reports each wait', async () => {
    const [first, second] = [new Error('first'), new Error('second')];
    const waits: unknown[] = [];
    const result = await retry(failingWith(first, second), twice, {
      onWait: (error, waitMs) => waits.push([error, waitMs]),
      wait: async (waitMs) => void waits.push(waitMs),
    });
    expect(result).toBe('done');
    expect(waits).toEqual([[first, 10], 10, [second, 20], 20]);
  });

  test('rejects with the last error once the policy gives up', async () => {
    const errors = ['first', 'second', 'third'].map((message) => new Error(message));
    await expect(retry(failingWith(...errors), twice, { wait: noWait })).rejects.toBe(errors[2]);
  });

  test('reports a success to the policy', async () => {
    let successes = 0;
    await retry(failingWith(new Error('once')), { ...twice, succeeded: () => successes++ }, { wait: noWait });
    expect(successes).toBe(1);
  });

  test('rejects with the last error when the signal aborts a wait', async () => {
    const ending = new AbortController();
    const error = new Error('an outage');
    const endless: RetryPolicy = { waitAfter: () => 3_600_000 };
    const result = retry(failingWith(error), endless, { signal: ending.signal, onWait: () => ending.abort() });
    await expect(result).rejects.toBe(error);
  });

  test('does not call the policy after the signal has aborted', async () => {
    const error = new Error('an outage');
    const policy: RetryPolicy = { waitAfter: () => expect.unreachable() };
    await expect(retry(failingWith(error), policy, { signal: AbortSignal.abort() })).rejects.toBe(error);
  });
});

describe('the retry policy of a command', () => {
  test('makes five attempts during an outage, with waits that double from five seconds', () => {
    expect(waitsAfter(commandPolicy(), new Retry('an outage'), 5)).toEqual([5_000, 10_000, 20_000, 40_000, undefined]);
  });

  test('makes ten attempts if the error states how long to wait', () => {
    const waits = waitsAfter(commandPolicy(), new Retry('a rate limit', { afterMs: 700 }), 10);
    expect(waits).toEqual([...Array.from({ length: 9 }, () => 700), undefined]);
  });

  test('gives up at once if the error states a wait of more than two minutes', () => {
    expect(commandPolicy().waitAfter(new Retry('a rate limit', { afterMs: 120_000 }), 1)).toBe(120_000);
    expect(commandPolicy().waitAfter(new Retry('a rate limit', { afterMs: 120_001 }), 1)).toBeUndefined();
  });

  test('gives up at once on an error that is not temporary', () => {
    expect(commandPolicy().waitAfter(new Error('a bug'), 1)).toBeUndefined();
  });

  test('does not wait again after it has given up during an outage, until a call succeeds', () => {
    const policy = commandPolicy();
    waitsAfter(policy, new Retry('an outage'), 5);
    expect(policy.waitAfter(new Retry('an outage'), 1)).toBeUndefined();
    expect(policy.waitAfter(new Retry('a rate limit', { afterMs: 700 }), 1)).toBe(700);
    policy.succeeded();
    expect(policy.waitAfter(new Retry('an outage'), 1)).toBe(5_000);
  });

  test('counts neither a rate limit nor an error that is not temporary as an outage', () => {
    const policy = commandPolicy();
    waitsAfter(policy, new Retry('a rate limit', { afterMs: 700 }), 10);
    policy.waitAfter(new Error('a bug'), 1);
    expect(policy.waitAfter(new Retry('an outage'), 1)).toBe(5_000);
  });
});

describe('a deadline policy', () => {
  test('retries at its interval as long as the wait ends before the deadline', () => {
    expect(new DeadlinePolicy(60_000, 200).waitAfter()).toBe(200);
    expect(new DeadlinePolicy(200, 200).waitAfter()).toBeUndefined();
  });
});
