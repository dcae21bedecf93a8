import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * What a fast test does without. A test file that imports one of these, itself or through others, is slow; so a new test
 * is sorted by what it needs, and no list of tests can get out of date.
 */
export const SLOW_PARTS = [
  // Real services, which have to be installed, built or started.
  'test/services/redis.ts',
  'test/services/minio.ts',
  // The whole of modpress.
  'test/e2e/service.ts',
  'test/e2e/in-process.ts',
  // The whole way from a git repository to the store: hundreds of processes of git.
  'test/publish/publishing.ts',
  // Ten thousand random trees.
  'test/module/properties.ts',
];

/** Programs that a test starts as processes, by the path that it has to name for that. */
const SLOW_PROGRAMS = ['dist/main.js', 'test/demo/demo.ts'];

/** The test files, as paths from `root`, that are slow. Throws if a part that makes tests slow is no longer there. */
export function slowTests(root: string): string[] {
  for (const path of SLOW_PARTS)
    if (!existsSync(join(root, path))) throw new Error(`${path} is gone: name what took its place`);
  const files = new Map<string, { readonly isSlow: boolean; readonly imports: readonly string[] }>();
  const read = (path: string) => {
    const source = readFileSync(join(root, path), 'utf8');
    const file = {
      isSlow: SLOW_PARTS.includes(path) || SLOW_PROGRAMS.some((program) => source.includes(program)),
      imports: importsOf(source)
        .map((target) => join(dirname(path), target))
        // Not all that looks like an import is one: some tests write sources.
        .filter((target) => target.startsWith('test/') && existsSync(join(root, target))),
    };
    files.set(path, file);
    return file;
  };
  const isSlow = (test: string): boolean => {
    const reached = new Set([test]);
    for (const path of reached) {
      const file = files.get(path) ?? read(path);
      if (file.isSlow) return true;
      for (const target of file.imports) reached.add(target);
    }
    return false;
  };
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => join('test', path))
    .filter(isSlow);
}

/** The paths of the files of this project that a source imports, as they stand there. */
function importsOf(source: string): string[] {
  return Array.from(source.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'(\.[^']*\.ts)'/g), ([, target = '']) => target);
}
