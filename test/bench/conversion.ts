import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Bench } from './bench.ts';
import type { Conversion, Way } from './converting.ts';
import { commitModule, type Shape } from './repository.ts';
import { MODULE_PREFIX } from './service.ts';
import { median } from './statistics.ts';

/**
 * The median durations for one commit: `seconds` for modpress from archive to zip, and `gitSeconds` for `git archive`.
 */
export interface ConversionFigures {
  readonly files: number;
  readonly seconds: number;
  readonly gitSeconds: number;
  /**
   * The median of the ratios of each run, because the load of the machine differs between runs. Below 1, modpress is
   * faster.
   */
  readonly ratio: number;
}

/** Conversions up to this total size are not counted, because V8 is still compiling the code. */
const WARM_UP_MEGABYTES = 50;

/** The cost of the checks against git: the median durations with and without them, and the median ratio of each run. */
export interface ProofFigures {
  readonly files: number;
  readonly seconds: number;
  readonly withoutSeconds: number;
  readonly ratio: number;
}

/** Runs modpress's conversion and `git archive --format=zip` on the same commit, alternately. */
export async function measureConversion(
  bench: Bench,
  shape: Shape,
  megabytes: number,
  runs: number,
): Promise<ConversionFigures> {
  return withArchive(bench, shape, megabytes, async ({ files, convert, makeZip }) => {
    const pairs: { ours: number; theirs: number }[] = [];
    for (let run = 0; run < runs; run++) pairs.push({ ours: await convert('proved'), theirs: await makeZip() });
    return {
      files,
      seconds: median(pairs.map(({ ours }) => ours)),
      gitSeconds: median(pairs.map(({ theirs }) => theirs)),
      ratio: median(pairs.map(({ ours, theirs }) => ours / theirs)),
    };
  });
}

/**
 * Runs modpress's conversion on one archive with and without the checks, alternately. Half of the runs begin with the
 * checks, and half without.
 */
export async function measureProof(bench: Bench, megabytes: number, runs: number): Promise<ProofFigures> {
  return withArchive(bench, 'smaller', megabytes, async ({ files, convert }) => {
    const pairs: { proved: number; unproved: number }[] = [];
    for (let run = 0; run < runs; run++) {
      if (run % 2 === 0) pairs.push({ proved: await convert('proved'), unproved: await convert('unproved') });
      else {
        const unproved = await convert('unproved');
        pairs.push({ proved: await convert('proved'), unproved });
      }
    }
    return {
      files,
      seconds: median(pairs.map(({ proved }) => proved)),
      withoutSeconds: median(pairs.map(({ unproved }) => unproved)),
      ratio: median(pairs.map(({ proved, unproved }) => proved / unproved)),
    };
  });
}

/** A commit with its archive, and two functions that measure a conversion. Both functions resolve to seconds. */
interface Archived {
  readonly files: number;
  readonly convert: (way: Way) => Promise<number>;
  readonly makeZip: () => Promise<number>;
}

async function withArchive<T>(
  bench: Bench,
  shape: Shape,
  megabytes: number,
  measure: (archived: Archived) => Promise<T>,
): Promise<T> {
  const { gitlab, git, content, deadline } = bench;
  const folder = join(bench.folder, `conversion-${shape}`);
  await mkdir(folder);
  const project = await gitlab.createProject(`conversion/${shape}`);
  const module = `${MODULE_PREFIX}/${project.path}`;
  const commit = await commitModule(git, project.repositoryDir, module, shape, megabytes, content);
  await project.reload();
  const archive = join(folder, 'archive.tar.gz');
  const tar = git.start(['archive', '--format=tar', `--prefix=module-${commit}/`, commit], {
    cwd: project.repositoryDir,
  });
  tar.stderr.resume();
  await pipeline(tar.stdout, createGzip(), createWriteStream(archive));

  const conversion: Conversion = {
    gitlabUrl: gitlab.url,
    token: gitlab.rootToken,
    projectId: project.id,
    commit,
    module,
    archive,
    folder,
  };
  const converting = fork(new URL('converting.ts', import.meta.url), [JSON.stringify(conversion)]);
  const exited = once(converting, 'exit');
  try {
    const files = await answer(converting, deadline);
    const convert = async (way: Way): Promise<number> => {
      converting.send(way);
      return answer(converting, deadline);
    };
    for (let done = 0; done < WARM_UP_MEGABYTES; done += megabytes) {
      await convert('proved');
      await convert('unproved');
    }
    return await measure({
      files,
      convert,
      makeZip: async () => {
        const started = performance.now();
        await git.run(
          ['archive', '--format=zip', `--prefix=module-${commit}/`, `--output=${join(folder, 'git.zip')}`, commit],
          { cwd: project.repositoryDir },
        );
        return (performance.now() - started) / 1000;
      },
    });
  } finally {
    converting.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true });
  }
}

/** Resolves to the next number that the process sends. */
async function answer(converting: ChildProcess, deadline: AbortSignal): Promise<number> {
  const exit = new AbortController();
  const gone = (): void => exit.abort(new Error('the conversion process ended'));
  const over = (): void => exit.abort(deadline.reason);
  converting.once('exit', gone);
  deadline.addEventListener('abort', over);
  try {
    deadline.throwIfAborted();
    const [number] = (await once(converting, 'message', { signal: exit.signal })) as [number];
    if (number < 0) throw new Error('the conversion failed');
    return number;
  } catch (error) {
    throw exit.signal.aborted ? exit.signal.reason : error;
  } finally {
    converting.off('exit', gone);
    deadline.removeEventListener('abort', over);
  }
}
