import { expect, test } from 'vitest';
import { pause } from '../src/pause.ts';

test('a wait of more than 24.8 days, which a timer cannot have, does not end at once', async () => {
  const ending = new AbortController();
  let ended = false;
  const waiting = pause(2 ** 32, ending.signal).then(() => (ended = true));
  await pause(50, ending.signal);
  expect(ended).toBe(false);
  ending.abort();
  await waiting;
});
