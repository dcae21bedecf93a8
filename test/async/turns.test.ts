import { expect, test } from 'vitest';
import { Turns } from '../../src/async/turns.ts';

function turnsOf(...items: readonly string[]): Turns<string, string> {
  const turns = new Turns<string, string>();
  for (const item of items) turns.add(item.charAt(0), item, item);
  return turns;
}

function takeAll(turns: Turns<string, string>, canRun?: (item: string) => boolean): (string | undefined)[] {
  const taken = [];
  for (let item = turns.take(canRun); item !== undefined; item = turns.take(canRun)) taken.push(item);
  return taken;
}

test('keys take turns, and the items of a key keep their order', () => {
  const turns = turnsOf('a1', 'a2', 'a3', 'b1', 'c1', 'c2');
  expect(turns.size).toBe(6);
  expect(takeAll(turns)).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
  expect(turns.size).toBe(0);
});

test('a new key waits for one item of each other key', () => {
  const turns = turnsOf('a1', 'a2', 'a3', 'b1', 'b2');
  expect(turns.take()).toBe('a1');
  turns.add('c', 'c1', 'c1');
  expect(takeAll(turns)).toEqual(['b1', 'a2', 'c1', 'b2', 'a3']);
});

test('an item that cannot run stays and does not stop other items', () => {
  const turns = turnsOf('a1', 'a2', 'b1');
  expect(takeAll(turns, (item) => item !== 'a1')).toEqual(['a2', 'b1']);
  expect(takeAll(turns)).toEqual(['a1']);
});

test('a deleted item does not run', () => {
  const turns = turnsOf('a1', 'a2');
  expect([turns.delete('a', 'a1'), turns.delete('a', 'a1'), turns.delete('b', 'b1')]).toEqual([true, false, false]);
  expect(takeAll(turns)).toEqual(['a2']);
});
