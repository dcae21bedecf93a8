import { setImmediate as waitForImmediate } from 'node:timers/promises';

/** How long all work together may run in one iteration of the event loop, in milliseconds. */
const SLICE_MS = 10;

/**
 * Runs long work in slices, so that it does not block the event loop. Each `yield` of `work` is a place where the work
 * may be interrupted. There should be one about every 0.1 milliseconds. Resolves to the result of the work.
 */
export async function inSlices<T>(work: Generator<undefined, T, undefined>): Promise<T> {
  for (;;) {
    if (isSliceOver()) await nextSlice();
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/**
 * Whether the slice of the current iteration is over. A long loop that awaits its items calls `nextSlice` then. The
 * separate check saves a promise for each item.
 */
export function isSliceOver(): boolean {
  return performance.now() >= endOfSlice();
}

/**
 * The end of the slice in the current iteration of the event loop, as a value of performance.now(). Undefined if no
 * work has run in this iteration yet. A process has one event loop, so all work shares the slice. Otherwise, a thousand
 * short pieces of work one after the other would block the event loop like a long one.
 */
let sliceEnd: number | undefined;
/** Resolves at the last turn that was given. */
let lastTurn = Promise.resolve();

function endOfSlice(): number {
  if (sliceEnd !== undefined) return sliceEnd;
  setImmediate(() => (sliceEnd = undefined));
  return (sliceEnd = performance.now() + SLICE_MS);
}

/** Waits for a later iteration of the event loop, which has a new slice. In each iteration, one caller continues. */
export async function nextSlice(): Promise<void> {
  const previous = lastTurn;
  lastTurn = (async () => {
    await previous;
    await waitForImmediate();
    sliceEnd = undefined;
  })();
  await lastTurn;
}

/** The number of items after which `mapInSlices` may be interrupted. */
const STEP_ITEMS = 50;

/** Returns the results of `map` for all items, without those that are undefined. Runs in slices. */
export async function mapInSlices<T, R>(items: readonly T[], map: (item: T) => R | undefined): Promise<R[]> {
  return await inSlices(mapSteps(items, map));
}

function* mapSteps<T, R>(items: readonly T[], map: (item: T) => R | undefined): Generator<undefined, R[]> {
  const results: R[] = [];
  for (const [index, item] of items.entries()) {
    if (index % STEP_ITEMS === 0) yield;
    const result = map(item);
    if (result !== undefined) results.push(result);
  }
  return results;
}
