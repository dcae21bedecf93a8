import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { writeTemporaryTree } from '../io/temporary-tree.ts';
import { SLOW_PARTS, slowTests } from './fast.ts';

/** Returns the slow tests of a small tree that contains these files and every slow part. */
async function slowOf(files: Readonly<Record<string, string>>): Promise<string[]> {
  const parts = Object.fromEntries(SLOW_PARTS.map((path) => [path, '']));
  return slowTests(await writeTemporaryTree({ ...parts, ...files }));
}

describe('a test file', () => {
  it.each([
    ['imports a service', { 'test/a/x.test.ts': "import { startRedis } from '../services/redis.ts';\n" }],
    [
      'imports a service through another file',
      {
        'test/a/x.test.ts': "import { contract } from './contract.ts';\n",
        'test/a/contract.ts': "import {\n  startMinio,\n  type Minio,\n} from '../services/minio.ts';\n",
      },
    ],
    [
      'imports a service through files that import each other',
      {
        'test/a/x.test.ts': "import './one.ts';\n",
        'test/a/one.ts': "import './two.ts';\nimport '../services/redis.ts';\n",
        'test/a/two.ts': "import './one.ts';\n",
        'test/a/y.test.ts': "import './two.ts';\n",
      },
    ],
    ['imports a service dynamically', { 'test/a/x.test.ts': "await import('../services/redis.ts');\n" }],
    ['starts the built program', { 'test/a/x.test.ts': "spawn('node', ['dist/main.js']);\n" }],
  ])('is slow if it %s', async (_, files) => {
    expect(await slowOf(files)).toEqual(Object.keys(files).filter((path) => path.endsWith('.test.ts')));
  });

  it('is fast if it imports only the source or other parts of the tests', async () => {
    const files = {
      'test/a/x.test.ts': "import '../../src/a/x.ts';\nimport './y.ts';\n",
      'test/a/y.ts': "import './x.test.ts';\n",
    };
    expect(await slowOf(files)).toEqual([]);
  });
});

describe('npm run test:fast', () => {
  it('has the current path of every part that makes a test slow', () => {
    expect(slowTests(fileURLToPath(new URL('../../', import.meta.url)))).toContain('test/store/s3.test.ts');
  });
});
