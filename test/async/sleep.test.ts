import { expect, test } from 'vitest';
import { sleep } from '../../src/async/sleep.ts';

test('sleep does not end at once for a duration over 24.8 days, the limit of a timer', async () => {
  const ending = new AbortController();
  let ended = false;
  const sleeping = sleep(2 ** 32, ending.signal).then(() => (ended = true));
  // Node shortens a timer that is too long to 1 ms. It fires timers of equal length in the order in which they were
  // set.
  await sleep(1, ending.signal);
  expect(ended).toBe(false);
  ending.abort();
  await sleeping;
});
