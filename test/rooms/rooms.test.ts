import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { writeTemporaryTree } from '../io/temporary-tree.ts';

/** These tests run `npm run rooms` on a small tree with the table of this project, in a temporary folder. */

const RULES = new URL('../../.dependency-cruiser.mjs', import.meta.url);
const PROGRAM = fileURLToPath(
  new URL('../../node_modules/dependency-cruiser/bin/dependency-cruise.mjs', import.meta.url),
);

/** Three rooms and src/errors.ts, with imports that the table allows. */
const ALLOWED = {
  'src/errors.ts': 'export class Failure extends Error {}\n',
  'src/module/path.ts': "import { Failure } from '../errors.ts';\nexport const path = new Failure();\n",
  'src/store/store.ts': "import { path } from '../module/path.ts';\nexport const store = path;\n",
  'src/proxy/router.ts': "import type { store } from '../store/store.ts';\nexport type Router = typeof store;\n",
};

interface Result {
  readonly passes: boolean;
  readonly output: string;
}

/** Writes the allowed files and the given files, and checks them. */
async function check(files: Readonly<Record<string, string>>): Promise<Result> {
  const rules = { '.dependency-cruiser.mjs': await readFile(RULES) };
  const folder = await writeTemporaryTree({ ...rules, ...ALLOWED, ...files });
  return await new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, 'src'], { cwd: folder }, (error, stdout, stderr) =>
      resolve({ passes: error === null, output: stdout + stderr }),
    );
  });
}

describe('the rooms of src/', () => {
  it('pass if every import leads to a room in the row', async () => {
    const { passes, output } = await check({});
    expect({ passes, output }).toEqual({
      passes: true,
      output: expect.stringContaining('no dependency violations found (4 modules, 3 dependencies cruised)') as string,
    });
  });

  it.each([
    ['an import', "import { router } from '../proxy/router.ts';\nexport const planted = router;\n"],
    ['an import for its effects', "import '../proxy/router.ts';\n"],
    ['an import of a type', "import type { Router } from '../proxy/router.ts';\nexport type Planted = Router;\n"],
    ['a dynamic import', "export const planted = async () => await import('../proxy/router.ts');\n"],
    ['an export from another file', "export * from '../proxy/router.ts';\n"],
    ['an export of a type', "export type { Router } from '../proxy/router.ts';\n"],
  ])('fail with %s from a room outside the row', async (_, content) => {
    const { passes, output } = await check({ 'src/store/planted.ts': content });
    expect(output).toMatch(/error store imports .*: src\/store\/planted\.ts → src\/proxy\/router\.ts$/m);
    expect(passes).toBe(false);
  });

  it('fail with a cycle within a room', async () => {
    const { passes, output } = await check({
      'src/store/one.ts': "export * from './two.ts';\n",
      'src/store/two.ts': "export * from './one.ts';\n",
    });
    expect(output).toMatch(/error no cycle: src\/store\/one\.ts →/);
    expect(passes).toBe(false);
  });

  it.each([
    ['imports from a room', { 'src/cellar/wine.ts': "export * from '../errors.ts';\n" }, 'src/cellar/wine.ts'],
    [
      'is imported by a room',
      {
        'src/cellar/wine.ts': 'export const wine = 1;\n',
        'src/store/planted.ts': "export * from '../cellar/wine.ts';\n",
      },
      'src/store/planted.ts → src/cellar/wine.ts',
    ],
  ])('fail with a new folder that has no row and %s', async (_, files, named) => {
    const { passes, output } = await check(files);
    expect(output).toContain(named);
    expect(passes).toBe(false);
  });
});
