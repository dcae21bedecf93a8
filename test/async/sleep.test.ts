import { expect, test } from 'vitest';
import { sleep } from '../../src/async/sleep.ts';

test('a wait of more than 24.8 days, which a timer cannot have, does not end at once', async () => {
  const ending = new AbortController();
  let ended = false;
  const waiting = sleep(2 ** 32, ending.signal).then(() => (ended = true));
  await sleep(50, ending.signal);
  expect(ended).toBe(false);
  ending.abort();
  await waiting;
});
