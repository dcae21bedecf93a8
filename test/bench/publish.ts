import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Git } from '../fake-gitlab/git.ts';
import { startGitLab } from '../fake-gitlab/stand-in.ts';
import type { Bench } from './bench.ts';
import { Content } from './content.ts';
import { measureConversion, measureProof } from './conversion.ts';
import { HUGE_TREE_OWN } from './huge-tree.ts';
import { measureHugeTree, measurePublish } from './whole.ts';
import { measurePushes } from './push.ts';
import type { Shape } from './repository.ts';

/**
 * Measures the speed and the memory use of publishing. Run it with `npm run bench:publish`, or with `-- --quick` for
 * small modules in less than a minute. The exit status is 1 if a target is missed or a step fails. The benchmark
 * requires Linux, because it reads /proc.
 */

/** The maximum memory above the idle service for the largest module, in MB. */
const MEMORY_TARGET = 100;
/** The maximum duration of the conversion divided by the duration of `git archive`. */
const RATIO_TARGET = 1;
/** The maximum duration of the conversion divided by its duration without blob ids and the plan. */
const PROOF_TARGET = 1.1;
/** The maximum memory above the idle service for a small module in a huge tree, in MB. */
const HUGE_TREE_TARGET = 60;
/** The maximum median time from the call of the webhook to `.info`, in ms. */
const PUSH_TARGET = 150;

const quick = process.argv.includes('--quick');
const SIZES = quick ? [1, 10] : [1, 10, 100, 400];
const CONVERSION = quick ? { megabytes: 10, runs: 5 } : { megabytes: 40, runs: 5 };
const PROOF = quick ? { megabytes: 10, runs: 10 } : { megabytes: 40, runs: 10 };
const HUGE_TREE = quick ? 30_000 : 300_000;
const PUSHES = quick ? 10 : 20;
const LIMIT_MS = (quick ? 3 : 10) * 60_000;
const SHAPES: readonly Shape[] = ['small', 'large'];

let missed = 0;

process.exitCode = await run();

async function run(): Promise<number> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(new Error(`it took longer than ${LIMIT_MS / 60_000} minutes`)), LIMIT_MS);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => over.abort(new Error(signal)));
  const folder = await mkdtemp(join(tmpdir(), 'modpress-bench-'));
  const git = new Git();
  const started = performance.now();
  try {
    await using gitlab = await startGitLab({ archiveLimit: 'off' });
    await measure({ gitlab, git, content: new Content(), folder, deadline: over.signal });
  } catch (error) {
    print(`\nThe benchmark failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    clearTimeout(timer);
    await git.close();
    await rm(folder, { recursive: true, force: true });
  }
  const [load = 0] = loadavg();
  if (load > availableParallelism() + 1)
    print(
      `\nThe load of this machine is ${load.toFixed(1)}: other programs are running, so the figures are not reliable.`,
    );
  print(
    `\n${missed === 0 ? 'Every target is met' : `Targets missed: ${missed}`} (${((performance.now() - started) / 1000).toFixed(0)} s).`,
  );
  return missed === 0 ? 0 : 1;
}

async function measure(bench: Bench): Promise<void> {
  print(`Publishing with modpress: Node ${process.versions.node}, ${availableParallelism()} cores`);

  print("\nConversion of GitLab's archive into the module zip, compared with git archive --format=zip");
  for (const shape of SHAPES) {
    const figures = await measureConversion(bench, shape, CONVERSION.megabytes, CONVERSION.runs);
    const times = `${figures.seconds.toFixed(2)} s, git ${figures.gitSeconds.toFixed(2)} s`;
    row([
      `  ${CONVERSION.megabytes} MB, ${figures.files} files`,
      times,
      `ratio ${figures.ratio.toFixed(2)}  ${verdict(figures.ratio <= RATIO_TARGET, `at most ${RATIO_TARGET}`)}`,
    ]);
  }

  print('\nCost of the checks: the same conversion with and without blob ids and the plan');
  const proof = await measureProof(bench, PROOF.megabytes, PROOF.runs);
  const proofTimes = `${proof.seconds.toFixed(2)} s, without ${proof.withoutSeconds.toFixed(2)} s`;
  row([
    `  ${PROOF.megabytes} MB, ${proof.files} files`,
    proofTimes,
    `ratio ${proof.ratio.toFixed(2)}  ${verdict(proof.ratio <= PROOF_TARGET, `at most ${PROOF_TARGET}`)}`,
  ]);

  print(
    '\nPush to available: a tag in a module of 1 MB, from the call of the webhook to status 200 for .info; medians',
  );
  for (const archive of ['cached', 'made'] as const) {
    const { median, p95, pushes, requests } = await measurePushes(bench, archive, PUSHES);
    const name = archive === 'cached' ? '  archive is cached' : '  archive is not cached';
    const time = `${median} ms (95 %: ${p95} ms)`;
    row([
      name,
      time,
      archive === 'cached'
        ? verdict(median < PUSH_TARGET, `below ${PUSH_TARGET} ms`)
        : `for ${pushes} pushes; no target, because GitLab takes most of this time`,
    ]);
    print(
      `    Requests to GitLab, after the call of the webhook: ${requests.map((request) => `${request.name} at ${request.after} ms`).join(', ')}`,
    );
  }

  print(
    '\nPublishing from job to outcome, each module with a new service; peak resident memory above the idle service',
  );
  for (const megabytes of SIZES) {
    for (const shape of SHAPES) {
      const { seconds, overIdle, idle } = await measurePublish(bench, shape, megabytes);
      const memory = `+${overIdle.toFixed(0)} MB above ${idle.toFixed(0)}`;
      row([
        `  ${megabytes} MB, ${shape} files`,
        `${seconds.toFixed(2)} s`,
        `${memory}  ${verdict(overIdle < MEMORY_TARGET, `below ${MEMORY_TARGET} MB`)}`,
      ]);
    }
  }

  const huge = await measureHugeTree(bench, HUGE_TREE);
  const hugeMemory = `+${huge.overIdle.toFixed(0)} MB above ${huge.idle.toFixed(0)}`;
  row([
    `  ${HUGE_TREE_OWN} of ${HUGE_TREE} files`,
    `${huge.seconds.toFixed(2)} s`,
    `${hugeMemory}  ${verdict(huge.overIdle < HUGE_TREE_TARGET, `below ${HUGE_TREE_TARGET} MB`)}, with a heap of 64 MB`,
  ]);
}

function verdict(met: boolean, target: string): string {
  if (!met) missed++;
  return `${met ? 'ok' : 'MISSED'} (target: ${target})`;
}

function row([name = '', figure = '', rest = '']: readonly string[]): void {
  print(`${name.padEnd(26)}${figure.padEnd(24)}${rest}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
