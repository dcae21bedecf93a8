import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';
import { slowTests } from './test/setup/fast.ts';
import { LongFirst } from './test/setup/long-first.ts';

/** With `--mode fast`, Vitest runs only the tests that need no external service. */
export default defineConfig(({ mode }) => ({
  test: {
    include: ['test/**/*.test.ts'],
    ...(mode === 'fast'
      ? { exclude: [...configDefaults.exclude, ...slowTests(fileURLToPath(new URL('.', import.meta.url)))] }
      : { globalSetup: ['test/services/global.ts'] }),
    testTimeout: 30_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    pool: 'forks',
    maxWorkers: 2,
    sequence: { shuffle: true, sequencer: LongFirst },
  },
}));
