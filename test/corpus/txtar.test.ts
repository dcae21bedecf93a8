import { expect, test } from 'vitest';
import { parseTxtar } from './txtar.ts';

test('parseTxtar separates files at their markers, and omits the comment', () => {
  const text =
    'a comment\n-- not a marker\n-- go.mod --\nmodule m\n\n-- empty.txt --\n-- a b.txt --\r\n--x --\n -- y --\nno line end';
  expect([...parseTxtar(text)]).toEqual([
    ['go.mod', 'module m\n\n'],
    ['empty.txt', ''],
    ['a b.txt', '--x --\n -- y --\nno line end\n'],
  ]);
  expect([...parseTxtar('nothing but a comment')]).toEqual([]);
});
