import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Heap } from '../../src/async/heap.ts';

function popAll(heap: Heap<number>): number[] {
  const popped: number[] = [];
  for (let item = heap.pop(); item !== undefined; item = heap.pop()) popped.push(item);
  return popped;
}

test('a heap returns the smallest item, whatever the order of adding and removing', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer(), { nil: undefined })), (steps) => {
      const heap = new Heap<number>((one, other) => one < other);
      const expected: number[] = [];
      for (const step of steps) {
        if (step === undefined) {
          expect(heap.pop()).toBe(expected.sort((one, other) => one - other).shift());
        } else {
          heap.push(step);
          expected.push(step);
        }
        expect(heap.size).toBe(expected.length);
      }
      heap.retain((item) => item % 2 === 0);
      expect(popAll(heap)).toEqual(expected.filter((item) => item % 2 === 0).toSorted((one, other) => one - other));
    }),
  );
});
