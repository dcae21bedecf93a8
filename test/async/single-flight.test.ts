import { expect, test } from 'vitest';
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
