import { beforeEach, describe, expect, test } from 'vitest';
import { SingleFlight } from '../../src/async/single-flight.ts';

test('single-flight shares running work between calls with the same key only', async () => {
  const flights = new SingleFlight<string>();
  const started: string[] = [];
  const work = (name: string) => async (): Promise<string> => {
    started.push(name);
    return name;
  };
  const results = await Promise.all([
    flights.run('a', work('first')),
    flights.run('a', work('second')),
    flights.run('b', work('third')),
  ]);
  expect(results).toEqual(['first', 'first', 'third']);
  expect(started).toEqual(['first', 'third']);
});

test('single-flight keeps no result after the work ends, whether it succeeds or fails', async () => {
  const flights = new SingleFlight<number>();
  let runs = 0;
  expect(await flights.run('a', async () => ++runs)).toBe(1);
  const failing = flights.run('a', async () => {
    throw new Error(`run ${++runs}`);
  });
  const sharing = flights.run('a', async () => ++runs);
  await expect(failing).rejects.toThrow('run 2');
  await expect(sharing).rejects.toThrow('run 2');
  expect(await flights.run('a', async () => ++runs)).toBe(3);
});

describe('single-flight with callers that leave', () => {
  /** The signals of all work that has started. */
  let signals: AbortSignal[];
  /** Ends all work. */
  let end: (text: string) => void;
  let start: (signal: AbortSignal) => Promise<string>;

  beforeEach(() => {
    signals = [];
    const ended = new Promise<string>((resolve) => (end = resolve));
    start = (signal) => {
      signals.push(signal);
      return ended;
    };
  });

  test('aborts the work with the reason of the last caller, and starts new work for the next call', () => {
    const flights = new SingleFlight<string>();
    const [first, second] = [new AbortController(), new AbortController()];
    for (const caller of [first, second]) void flights.run('a', start, caller.signal);
    first.abort('first');
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    second.abort('second');
    expect(signals.map(({ reason }) => reason as unknown)).toEqual(['second']);
    void flights.run('a', start);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });

  test('does not abort the work if a caller cannot leave, or if the caller leaves after its end', async () => {
    const flights = new SingleFlight<string>();
    const caller = new AbortController();
    const calls = [
      flights.run('a', start),
      flights.run('a', start, caller.signal),
      flights.run('b', start, caller.signal),
    ];
    end('result');
    expect(await Promise.all(calls)).toEqual(['result', 'result', 'result']);
    caller.abort();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
  });

  test('lets as much work continue without callers as it may, and gives its result to the next caller', async () => {
    const flights = new SingleFlight<string>(1);
    const leave = (key: string): void => {
      const caller = new AbortController();
      void flights.run(key, start, caller.signal);
      caller.abort();
    };
    leave('a');
    leave('b');
    const again = flights.run('a', start);
    leave('c');
    leave('d');
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true, false, true]);
    end('result');
    expect(await again).toBe('result');
    // The end of `c` made room again.
    leave('e');
    expect(signals.at(-1)?.aborted).toBe(false);
  });
});
