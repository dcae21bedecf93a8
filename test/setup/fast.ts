import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The modules that make a test slow. A test file that imports one of them, directly or indirectly, is slow. A new test
 * is therefore classified by its imports, and no list of tests can become outdated.
 */
export const SLOW_PARTS = [
  // These are real services, which must be installed, built or started.
  'test/services/redis.ts',
  'test/services/redis-server.ts',
  'test/services/minio.ts',
  // These run the complete modpress.
  'test/e2e/service.ts',
  'test/e2e/in-process.ts',
  // This publishes from a git repository to the store, with hundreds of git processes.
  'test/publish/publishing.ts',
  // This measures the work on megabytes of hostile input.
  'test/hostile/event-loop.ts',
  // This checks ten thousand random trees.
  'test/module/properties.ts',
];

/** The programs that slow tests start as processes, as paths in the source of the test. */
const SLOW_PROGRAMS = ['dist/main.js', 'test/demo/demo.ts'];

/** Returns the slow test files, as paths from `root`. Throws if a part that makes tests slow no longer exists. */
export function slowTests(root: string): string[] {
  for (const path of SLOW_PARTS)
    if (!existsSync(join(root, path))) throw new Error(`${path} does not exist: update this list`);
  const files = new Map<string, { readonly isSlow: boolean; readonly imports: readonly string[] }>();
  const read = (path: string) => {
    const source = readFileSync(join(root, path), 'utf8');
    const file = {
      isSlow: SLOW_PARTS.includes(path) || SLOW_PROGRAMS.some((program) => source.includes(program)),
      imports: importsOf(source)
        .map((target) => join(dirname(path), target))
        // Not every match is an import, because some tests contain sources as text.
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

/** Returns the relative imports of a source, as the source contains them. */
function importsOf(source: string): string[] {
  return Array.from(source.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'(\.[^']*\.ts)'/g), ([, target = '']) => target);
}
