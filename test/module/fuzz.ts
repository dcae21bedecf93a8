import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { Oracle } from './oracle.ts';
import { PROPERTIES, type Property } from './properties.ts';
import { keepRegression } from './regressions.ts';

const USAGE = 'Usage: npm run fuzz -- [--seconds N] [--seed N] [--only NAME]\n';

/** So many inputs of a property are tried before the next one has its turn. */
const ROUND = 1_000;

/** Tries random input against golang.org/x/mod until time is over. Resolves to the exit status: 1 for a counter-example. */
async function fuzz(seconds: number, firstSeed: number, properties: readonly Property[]): Promise<number> {
  const oracle = new Oracle();
  const started = performance.now();
  const tried = new Map<string, number>();
  try {
    for (let seed = firstSeed; performance.now() - started < seconds * 1000; seed++) {
      for (const { name, input, answers } of properties) {
        const result = await fc.check(fc.asyncProperty(input, async (value) => sameAnswers(await answers(oracle, value))), { numRuns: ROUND, seed });
        tried.set(name, (tried.get(name) ?? 0) + result.numRuns);
        if (!result.failed) continue;
        const [value] = result.counterexample ?? [];
        const { ours, theirs } = await answers(oracle, value);
        process.stdout.write(`${name}, seed ${seed}: ${JSON.stringify(value)}\n  modpress says ${JSON.stringify(ours)}\n  x/mod says    ${JSON.stringify(theirs)}\n`);
        process.stdout.write(`kept as test/module/regressions/${keepRegression(name, value)}\n`);
        return 1;
      }
    }
    const took = (performance.now() - started) / 1000;
    for (const [name, count] of tried) process.stdout.write(`${String(count).padStart(9)} ${name}\n`);
    const all = [...tried.values()].reduce((sum, count) => sum + count, 0);
    process.stdout.write(`no difference in ${all} inputs, ${Math.round(all / took)} a second; seeds ${firstSeed} and up\n`);
    return 0;
  } finally {
    oracle.close();
  }
}

function sameAnswers({ ours, theirs }: { ours: unknown; theirs: unknown }): boolean {
  return JSON.stringify(ours) === JSON.stringify(theirs);
}

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' }, only: { type: 'string' } } });
const seconds = Number(values.seconds);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const chosen = PROPERTIES.filter(({ name }) => values.only === undefined || name === values.only);
if (Number.isFinite(seconds) && seconds > 0 && Number.isInteger(seed) && chosen.length > 0) process.exitCode = await fuzz(seconds, seed, chosen);
else {
  process.stderr.write(`${USAGE}NAME is one of: ${PROPERTIES.map(({ name }) => name).join(', ')}\n`);
  process.exitCode = 2;
}
