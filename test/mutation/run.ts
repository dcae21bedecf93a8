import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MUTANTS, type Mutant } from './mutants.ts';
import { replacePassage } from './passage.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** The number of mutants that are tested concurrently. */
const SIDE_BY_SIDE = 2;
/**
 * The maximum duration of a test run, in ms. If a run takes longer, the mutant made it hang, so the tests have noticed
 * the mutant.
 */
const TIME_LIMIT_MS = 600_000;

/** The files that take longer than all other files of their folder together. They run last. */
const SLOW = '**/properties.test.ts';
/** The folder in the copy for temporary files. It is removed with the copy, even if the test run is killed. */
const TEMPORARY = 'temporary';

type Fate = 'killed' | 'SURVIVED' | 'NOT FOUND';

/**
 * Breaks one rule at a time in a copy of the project, and runs the tests, which must fail. Resolves to the exit status.
 * The status is 1 if a mutant survived, a passage was not found, or the run was interrupted.
 */
async function run(mutants: readonly Mutant[], interrupted: AbortSignal): Promise<number> {
  const started = performance.now();
  const fates = new Map<Mutant, Fate>();
  const waiting = [...mutants];
  const suites = [...new Set(mutants.map(({ tests }) => tests))];
  const work = async (): Promise<void> => {
    await using copy = await copyProject();
    for (let suite = suites.shift(); suite && !interrupted.aborted; suite = suites.shift()) {
      if (!(await passes(suite, copy.folder, interrupted)) && !interrupted.aborted)
        throw new Error(
          `${suite} fails without a mutant, so its failure with a mutant would not show that it notices the mutant`,
        );
      process.stdout.write(`passes    ${suite}, without a mutant\n`);
    }
    for (let mutant = waiting.shift(); mutant && !interrupted.aborted; mutant = waiting.shift()) {
      const from = performance.now();
      const fate = await judge(mutant, copy.folder, interrupted);
      if (interrupted.aborted) break;
      fates.set(mutant, fate);
      process.stdout.write(
        `${fate.padEnd(9)} ${((performance.now() - from) / 1000).toFixed(1).padStart(5)} s  ${mutant.file}: ${mutant.breaks}\n`,
      );
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  const killed = [...fates.values()].filter((fate) => fate === 'killed').length;
  process.stdout.write(
    `${killed} of ${mutants.length} mutants killed in ${Math.round((performance.now() - started) / 1000)} s\n`,
  );
  return killed > 0 && killed === mutants.length ? 0 : 1;
}

async function judge({ file, find, replace, tests }: Mutant, folder: string, interrupted: AbortSignal): Promise<Fate> {
  const path = join(folder, file);
  const source = await readFile(path, 'utf8');
  const broken = replacePassage(source, find, replace);
  if (broken === undefined) return 'NOT FOUND';
  await writeFile(path, broken);
  try {
    return (await passes(tests, folder, interrupted)) ? 'SURVIVED' : 'killed';
  } finally {
    await writeFile(path, source);
  }
}

/** Reports whether the tests in the folder pass. Runs the fast tests first, and stops at the first failure. */
async function passes(tests: string, folder: string, interrupted: AbortSignal): Promise<boolean> {
  if (tests !== 'test/module') return succeeds([tests], folder, interrupted);
  return (
    (await succeeds([tests, '--exclude', SLOW], folder, interrupted)) &&
    (await succeeds([`${tests}/properties.test.ts`], folder, interrupted))
  );
}

async function succeeds(selection: readonly string[], folder: string, interrupted: AbortSignal): Promise<boolean> {
  if (interrupted.aborted) return false;
  const command = [
    join('node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--bail=1',
    '--maxWorkers=1',
    '--reporter=dot',
    '--config',
    'vitest.mutation.config.ts',
    // These tests take a long time, and test no rule.
    '--exclude',
    'test/**/hostile-*.test.ts',
    ...selection,
  ];
  const child = spawn(process.execPath, command, {
    cwd: folder,
    stdio: 'ignore',
    detached: true,
    env: { ...process.env, TMPDIR: join(folder, TEMPORARY) },
  });
  const stop = (): void => killGroup(child);
  const timer = setTimeout(stop, TIME_LIMIT_MS);
  interrupted.addEventListener('abort', stop);
  const [status] = (await once(child, 'exit')) as [number | null];
  clearTimeout(timer);
  interrupted.removeEventListener('abort', stop);
  // This also kills the processes that the tests have started.
  stop();
  return status === 0;
}

/** Kills a process and all processes that it has started. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

async function copyProject(): Promise<AsyncDisposable & { folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'modpress-mutation-'));
  for (const name of ['src', 'test', 'package.json', 'tsconfig.json'])
    await cp(join(ROOT, name), join(folder, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await mkdir(join(folder, TEMPORARY));
  // The copy has no global set-up, because these tests need no services.
  await writeFile(
    join(folder, 'vitest.mutation.config.ts'),
    'export default { test: { testTimeout: 60_000, hookTimeout: 120_000, expect: { poll: { timeout: 10_000 } }, pool: "forks" } };\n',
  );
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }) };
}

const { values } = parseArgs({ options: { only: { type: 'string' } } });
const chosen = MUTANTS.filter(
  ({ file, breaks }) => values.only === undefined || `${file}: ${breaks}`.includes(values.only),
);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
process.exitCode = await run(chosen, stop.signal);
