import { isDeepStrictEqual, parseArgs } from 'node:util';
import * as fc from 'fast-check';
import { EventLoopProbe, MAX_BLOCK_MS } from '../hostile/event-loop.ts';
import { Oracle } from './oracle.ts';
import { PROPERTIES, type Property } from './properties.ts';
import { keepRegression } from './regressions.ts';

const USAGE = 'Usage: npm run fuzz -- [--seconds N] [--seed N] [--only NAME]\n';

/** The number of inputs that are tried for one property before the next property. */
const ROUND_INPUTS = 1_000;

/**
 * Compares the results for random input with golang.org/x/mod until the time is over or the signal aborts. Resolves to
 * the exit status, which is 1 for a counter-example, or if an input blocked the event loop.
 */
async function fuzz(
  seconds: number,
  firstSeed: number,
  properties: readonly Property[],
  interrupted: AbortSignal,
): Promise<number> {
  const oracle = new Oracle();
  const end = performance.now() + seconds * 1000;
  const tried = new Map(properties.map((property) => [property, { inputs: 0, milliseconds: 0, longestBlockMs: 0 }]));
  try {
    for (let seed = firstSeed; performance.now() < end && !interrupted.aborted; seed++) {
      for (const [property, count] of tried) {
        const { name, input, answers } = property;
        const from = performance.now();
        if (from >= end || interrupted.aborted) break;
        using probe = await EventLoopProbe.start();
        const result = await fc.check(
          fc.asyncProperty(input, async (value) => sameAnswers(await answers(oracle, value))),
          { numRuns: ROUND_INPUTS, seed, interruptAfterTimeLimit: Math.ceil(end - from) },
        );
        count.inputs += result.numRuns;
        count.milliseconds += performance.now() - from;
        const blockMs = await probe.longestBlockMs();
        count.longestBlockMs = Math.max(count.longestBlockMs, blockMs);
        if (blockMs > MAX_BLOCK_MS)
          process.stdout.write(`${name}, seed ${seed}: the event loop was blocked for ${Math.round(blockMs)} ms\n`);
        if (!result.failed) continue;
        const [value] = result.counterexample ?? [];
        process.stdout.write(
          `${name}, seed ${seed}: ${JSON.stringify(value)}\nstored as test/module/regressions/${keepRegression(name, value)}\n`,
        );
        const { ours, theirs } = await answers(oracle, value);
        process.stdout.write(`modpress: ${JSON.stringify(ours)}\nx/mod:    ${JSON.stringify(theirs)}\n`);
        return 1;
      }
    }
  } finally {
    oracle.close();
  }
  const counts = [...tried.values()];
  for (const [{ name }, { inputs, milliseconds, longestBlockMs }] of tried) {
    const speed = `${perSecond(inputs, milliseconds)} a second`;
    process.stdout.write(
      `${String(inputs).padStart(9)} ${name}, ${speed}, longest block ${Math.round(longestBlockMs)} ms\n`,
    );
  }
  const all = counts.reduce((sum, { inputs }) => sum + inputs, 0);
  const took = counts.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  process.stdout.write(
    `no difference in ${all} inputs, ${perSecond(all, took)} a second; the first seed was ${firstSeed}\n`,
  );
  return counts.some(({ longestBlockMs }) => longestBlockMs > MAX_BLOCK_MS) ? 1 : 0;
}

function sameAnswers({ ours, theirs }: { ours: unknown; theirs: unknown }): boolean {
  return isDeepStrictEqual(ours, theirs);
}

function perSecond(inputs: number, milliseconds: number): number {
  return milliseconds === 0 ? 0 : Math.round((inputs * 1000) / milliseconds);
}

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' }, only: { type: 'string' } },
});
const seconds = Number(values.seconds);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const chosen = PROPERTIES.filter(({ name }) => values.only === undefined || name === values.only);
if (Number.isFinite(seconds) && seconds > 0 && Number.isInteger(seed) && chosen.length > 0) {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
  process.exitCode = await fuzz(seconds, seed, chosen, stop.signal);
} else {
  process.stderr.write(`${USAGE}NAME is one of: ${PROPERTIES.map(({ name }) => name).join(', ')}\n`);
  process.exitCode = 2;
}
