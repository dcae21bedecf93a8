import { describe, expect, test } from 'vitest';
import { WaitingLine } from '../../src/requests/waiting-line.ts';

/** Takes all places. Returns their items. */
function takeAll<T>(line: WaitingLine<T>): T[] {
  const taken: T[] = [];
  for (let place = line.take(); place; place = line.take()) taken.push(place.item);
  return taken;
}

describe('a line', () => {
  test('takes the items of one client and group in the order in which they joined', () => {
    const line = new WaitingLine<number>();
    for (let item = 0; item < 100; item++) line.join(item, 'a client', 'a group');
    expect(takeAll(line)).toEqual(Array.from({ length: 100 }, (_, item) => item));
  });

  test.each([
    ['of one client and group', 'another client', 'another group', () => 'c', () => 'g'],
    ['of one client and group', 'another client', 'the same group', () => 'c', () => 'g'],
    ['of one client and group', 'the same client', 'another group', () => 'c', () => 'g'],
    ['of one client and many groups', 'another client', 'one of the groups', () => 'c', (index: number) => `${index}`],
    ['of many clients and one group', 'another client', 'another group', (index: number) => `${index}`, () => 'g'],
    ['of many clients and one group', 'one of the clients', 'another group', (index: number) => `${index}`, () => 'g'],
    [
      'of one client and ten groups',
      'another client',
      'one of the groups',
      () => 'c',
      (index: number) => `${index % 10}`,
    ],
  ])('of many items %s takes an item of %s and %s early', (_flood, client, group, clientAt, groupAt) => {
    const line = new WaitingLine<string>();
    for (let index = 0; index < 3_000; index++) line.join('flood', clientAt(index), groupAt(index));
    line.join(
      'single',
      client === 'the same client' ? 'c' : client === 'one of the clients' ? '7' : client,
      group === 'the same group' ? 'g' : group === 'one of the groups' ? '7' : group,
    );
    expect(takeAll(line).indexOf('single')).toBeLessThan(5);
  });

  test('counts an item that was taken until it leaves', () => {
    const line = new WaitingLine<string>();
    const first = line.join('first', 'a', 'g');
    expect(line.take()).toBe(first);
    line.join('second', 'a', 'g');
    line.leave(first);
    line.join('other', 'b', 'h');
    line.join('third', 'a', 'g');
    expect(takeAll(line)).toEqual(['other', 'second', 'third']);
  });

  test('does not take a place that has left, and does not count it', () => {
    const line = new WaitingLine<number>();
    const places = Array.from({ length: 10_000 }, (_, item) => line.join(item, 'a', 'g'));
    for (const place of places.slice(1)) line.leave(place);
    for (const place of places.slice(1)) line.leave(place);
    line.join(-1, 'a', 'g');
    line.join(-2, 'b', 'h');
    expect(takeAll(line)).toEqual([0, -2, -1]);
  });
});
