import { setImmediate } from 'node:timers/promises';

/** How long work may run at its start, in milliseconds. Nearly all work is done in this time. */
const FIRST_SLICE_MS = 2;
/** How long work may run before other work gets its turn, in milliseconds. */
const SLICE_MS = 10;

/**
 * Runs long work in slices, so that it does not block the event loop. Each `yield` of `work` is a place where the work
 * may be interrupted. There should be one about every 0.1 milliseconds. Resolves to the result of the work.
 */
export async function inSlices<T>(work: Generator<undefined, T, undefined>): Promise<T> {
  for (let sliceMs = FIRST_SLICE_MS; ; sliceMs = SLICE_MS) {
    const end = performance.now() + sliceMs;
    do {
      const step = work.next();
      if (step.done === true) return step.value;
    } while (performance.now() < end);
    await nextTurn();
  }
}

/** Resolves at the last turn that was given. There is one event loop in a process, so all work shares this queue. */
let lastTurn = Promise.resolve();

/**
 * Resolves in a later iteration of the event loop, for one caller in each iteration. Otherwise, a hundred pieces of
 * work would all run for one slice before the event loop continues.
 */
async function nextTurn(): Promise<void> {
  lastTurn = lastTurn.then(() => setImmediate());
  await lastTurn;
}
