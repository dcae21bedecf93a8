import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConcurrencyLimit } from '../../src/async/concurrency-limit.ts';
import { MAX_GOMOD } from '../../src/module/zip/writer.ts';
import type { Version } from '../../src/module/version.ts';
import { PrivateModules } from '../../src/proxy/private-modules.ts';
import { DiskStore } from '../../src/store/disk.ts';
import { moduleKey } from '../../src/store/layout.ts';
import { MAX_BLOCK_MS, measure } from '../hostile/event-loop.ts';
import { modulePath } from './modules.ts';

const MODULE = modulePath('gitlab.example/hostile/lib');
let folder: string;
let store: DiskStore;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-retractions-'));
  store = await DiskStore.open(folder);
  const retractions = 'v0.0.1\n'.repeat(Math.floor((MAX_GOMOD - 100) / 7));
  for (const [version, gomod] of Object.entries({
    'v1.0.0': `module ${MODULE}\n`,
    'v1.1.0': `module ${MODULE}\nretract (\n${retractions}v1.1.0\n)\n`,
  })) {
    const key = (file: 'mod' | 'info'): string => moduleKey(MODULE, version as Version, file);
    await store.put(key('mod'), Buffer.from(gomod));
    await store.put(key('info'), Buffer.from(JSON.stringify({ Version: version })));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('requests for @latest of a module with millions of retractions share one parse and do not block the event loop', async () => {
  const modules = new PrivateModules({ store, freshMs: 0, openZips: new ConcurrencyLimit(1, 1000) });
  const latest = async (): Promise<unknown> => {
    const answer = await modules.answer({ kind: 'latest', module: MODULE });
    return answer.kind === 'bytes' ? JSON.parse(answer.body.toString()) : undefined;
  };
  const { result, longestBlockMs, grewBytes } = await measure(() => Promise.all(Array.from({ length: 20 }, latest)));
  expect(result).toEqual(Array.from({ length: 20 }, () => ({ Version: 'v1.0.0' })));
  expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
  expect(grewBytes).toBeLessThan(8 * MAX_GOMOD);
}, 60_000);
