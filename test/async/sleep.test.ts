import { expect, test } from 'vitest';
import { sleep } from '../../src/async/sleep.ts';

test('a sleep of more than 24.8 days, which is too long for a timer, does not end at once', async () => {
  const ending = new AbortController();
  let ended = false;
  const sleeping = sleep(2 ** 32, ending.signal).then(() => (ended = true));
  // Node shortens a timer that is too long to 1 ms, and fires timers of one length in the order in which they were set.
  await sleep(1, ending.signal);
  expect(ended).toBe(false);
  ending.abort();
  await sleeping;
});
