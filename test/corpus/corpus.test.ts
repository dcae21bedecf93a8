import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventLoopProbe, MAX_BLOCK_MS } from '../hostile/event-loop.ts';
import { goEnv } from '../proxy/go.ts';
import { builtInProxy, downloadBothWays, type BothWays } from './both-ways.ts';
import { readCorpus, type CorpusModule } from './corpus.ts';
import { kindOfDirect, kindOfModpress } from './reason.ts';
import { dealOut } from './repositories.ts';

const { modules, leftOut } = readCorpus(await goEnv('GOROOT'));
const SAME = 'the same module';
const results = new Map<CorpusModule, BothWays>();
let longestBlockMs = 0;

beforeAll(async () => {
  const agent = await builtInProxy();
  const waiting = [...dealOut(modules)];
  const work = async (): Promise<void> => {
    for (let share = waiting.shift(); share; share = waiting.shift()) {
      for (const [module, both] of await downloadBothWays(share, agent)) results.set(module, both);
    }
  };
  using probe = await EventLoopProbe.start();
  await Promise.all([work(), work()]);
  longestBlockMs = await probe.longestBlockMs();
}, 600_000);
afterAll(() => {
  process.stdout.write(`${table()}\n`);
});

test('the corpus contains every archive, except those that cannot be a module', () => {
  expect(leftOut).toEqual([
    { name: 'example.com_invalidpath_v1_v1.0.0', reason: 'not a module path: invalid version suffix' },
    ...[
      'ambiguous_nested_v0.1.0',
      'ambiguous_v0.1.0',
      'ambiguous_v0.2.0',
      'pkgadded_v1.0.0',
      'pkgadded_v1.1.0',
      'pkgadded_v1.2.0',
    ].map((name) => ({
      name: `example.net_${name}`,
      reason: 'direct mode finds no modules on example.net',
    })),
    { name: 'rsc.io_badzip_v1.0.0', reason: 'a file that lies outside of the module: /rsc.io/badzip@v1.0.0.txt' },
  ]);
  expect(results.size).toBe(modules.length);
});

test('no module of the corpus blocks the event loop', () => {
  expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
});

test('the corpus contains every kind of module', () => {
  const counts = countsOf();
  expect(counts.get(SAME), table()).toBeGreaterThan(200);
  expect([...counts.keys()].filter((kind) => kind !== SAME).toSorted(), table()).toEqual([
    'a file has a name that is not allowed',
    'a newer Go is needed',
    'file names differ only in case',
    'go.mod names no module path',
    'the major version requires another path',
    'there is no go.mod',
  ]);
});

describe('the go command', () => {
  test.each(modules.map((module) => [module.name, module] as const))(
    'gets the same result from modpress as in direct mode: %s',
    (_, module) => {
      const { direct, modpress } = resultOf(module);
      if (direct.reason === undefined) expect(modpress).toEqual(direct);
      else
        expect(kindOfModpress(modpress.reason ?? 'modpress serves the module'), modpress.reason).toBe(
          kindOfDirect(direct.reason),
        );
    },
  );
});

function resultOf(module: CorpusModule): BothWays {
  const both = results.get(module);
  if (both === undefined) throw new Error(`${module.name} was not downloaded`);
  return both;
}

/** Returns the number of modules that direct mode downloads, and the number that it refuses for each kind of reason. */
function countsOf(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { direct } of results.values()) {
    const kind = direct.reason === undefined ? SAME : kindOfDirect(direct.reason);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

function table(): string {
  const rows = [...countsOf(), ['left out', leftOut.length] as const].toSorted(([, a], [, b]) => b - a);
  return rows.map(([kind, count]) => `${`${count}`.padStart(5)}  ${kind}`).join('\n');
}
