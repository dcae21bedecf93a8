import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MUTANTS, type Mutant } from './mutants.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** As many as the machine has cores to spare. */
const SIDE_BY_SIDE = 2;
/** A mutant that makes the tests run for ever is noticed as well. In milliseconds. */
const PATIENCE_MS = 300_000;

type Fate = 'killed' | 'SURVIVED' | 'NOT FOUND';

/**
 * Breaks one rule at a time in a copy of the project, and demands that the tests notice. Resolves to the exit status: 1 if
 * a mutant survived, or if its passage is not where it should be.
 */
async function run(mutants: readonly Mutant[]): Promise<number> {
  const started = performance.now();
  const fates = new Map<Mutant, Fate>();
  const waiting = [...mutants];
  const suites = [...new Set(mutants.map(({ tests }) => tests))];
  const work = async (): Promise<void> => {
    await using copy = await copyProject();
    for (let suite = suites.shift(); suite; suite = suites.shift()) {
      if (!(await passes(suite, copy.folder))) throw new Error(`${suite} fails with nothing broken, so its failing would prove nothing`);
      process.stdout.write(`passes    ${suite}, with nothing broken\n`);
    }
    for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
      const from = performance.now();
      const fate = await judge(mutant, copy.folder);
      fates.set(mutant, fate);
      process.stdout.write(`${fate.padEnd(9)} ${((performance.now() - from) / 1000).toFixed(1).padStart(5)} s  ${mutant.file}: ${mutant.breaks}\n`);
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  const killed = [...fates.values()].filter((fate) => fate === 'killed').length;
  process.stdout.write(`${killed} of ${mutants.length} mutants killed in ${Math.round((performance.now() - started) / 1000)} s\n`);
  return killed === mutants.length ? 0 : 1;
}

async function judge({ file, find, replace, tests }: Mutant, folder: string): Promise<Fate> {
  const path = join(folder, file);
  const source = await readFile(path, 'utf8');
  if (source.split(find).length !== 2) return 'NOT FOUND';
  await writeFile(path, source.replace(find, () => replace));
  try {
    return (await passes(tests, folder)) ? 'SURVIVED' : 'killed';
  } finally {
    await writeFile(path, source);
  }
}

/** Whether the tests in the folder pass, up to the first that does not. */
async function passes(tests: string, folder: string): Promise<boolean> {
  const command = [join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--bail=1', '--maxWorkers=1', '--reporter=dot', '--config', 'vitest.mutation.config.ts', tests];
  const child = spawn(process.execPath, command, { cwd: folder, stdio: 'ignore' });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const [status] = (await once(child, 'exit')) as [number | null];
  clearTimeout(timer);
  return status === 0;
}

async function copyProject(): Promise<AsyncDisposable & { folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'modpress-mutation-'));
  for (const name of ['src', 'test', 'package.json', 'tsconfig.json']) await cp(join(ROOT, name), join(folder, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  // Without the services of the whole suite: these tests need none.
  await writeFile(join(folder, 'vitest.mutation.config.ts'), 'export default { test: { testTimeout: 60_000, hookTimeout: 120_000, pool: "forks" } };\n');
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

const { values } = parseArgs({ options: { only: { type: 'string' } } });
const chosen = MUTANTS.filter(({ file, breaks }) => values.only === undefined || `${file}: ${breaks}`.includes(values.only));
process.exitCode = await run(chosen);
