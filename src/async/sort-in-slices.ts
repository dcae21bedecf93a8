/** The number of items that are sorted or merged before the work may be interrupted. */
const STEP_ITEMS = 500;

/** Sorts as `toSorted` does, in slices (see `inSlices`). Takes little time if the items are already in order. */
export function* sortInSlices<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
): Generator<undefined, readonly T[]> {
  let runs: (readonly T[])[] = [];
  for (let start = 0; start < items.length; start += STEP_ITEMS) {
    yield;
    runs.push(items.slice(start, start + STEP_ITEMS).sort(compare));
  }
  while (runs.length > 1) {
    const merged: (readonly T[])[] = [];
    for (let index = 0; index < runs.length; index += 2) {
      yield;
      merged.push(yield* merge(runs[index] ?? [], runs[index + 1] ?? [], compare));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

/** Merges two sorted lists. Of equal items, those of `left` come first. */
function* merge<T>(
  left: readonly T[],
  right: readonly T[],
  compare: (a: T, b: T) => number,
): Generator<undefined, readonly T[]> {
  const [last] = left.slice(-1);
  const [first] = right;
  if (last === undefined || first === undefined || compare(last, first) <= 0) return left.concat(right);
  const merged: T[] = [];
  const [fromLeft, fromRight] = [left.values(), right.values()];
  let [a, b] = [fromLeft.next(), fromRight.next()];
  while (a.done !== true || b.done !== true) {
    if (b.done === true || (a.done !== true && compare(a.value, b.value) <= 0)) {
      if (a.done !== true) merged.push(a.value);
      a = fromLeft.next();
    } else {
      merged.push(b.value);
      b = fromRight.next();
    }
    if (merged.length % STEP_ITEMS === 0) yield;
  }
  return merged;
}
