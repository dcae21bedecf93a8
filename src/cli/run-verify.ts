import { Core } from '../app/core.ts';
import { loadVerifyConfig, type VerifyConfig } from '../config/command-config.ts';
import { allWell } from '../verify/finding.ts';
import { Rebuilder, type RebuilderParts } from '../verify/rebuild.ts';
import { jsonReport, textReport } from '../verify/report.ts';
import type { Selection } from '../verify/selection.ts';
import { NotInStore, verifyStore, type VerifyParts } from '../verify/verify.ts';
import { isUsageError, UsageError } from './command.ts';
import { showProgress } from './progress.ts';
import { untilStopped } from './stop-signal.ts';

/** The arguments of `modpress verify`. */
export interface VerifyOptions {
  readonly selection: Selection;
  readonly fromGitLab: boolean;
  readonly json: boolean;
}

/** Creates the rebuilder for --from-gitlab. The rebuilder calls `onWait` before each wait for a retry. */
type RebuilderFactory = (onWait: NonNullable<RebuilderParts['onWait']>) => Rebuilder;

/** Runs `modpress verify`. Resolves to the exit status. */
export async function runVerify(options: VerifyOptions): Promise<number> {
  const { gitlab, ...config } = loadVerifyConfig(process.env, options.fromGitLab);
  const gitlabCore = gitlab && new Core({ ...config, ...gitlab });
  const core: Core<Omit<VerifyConfig, 'gitlab'>> = gitlabCore ?? new Core(config);
  try {
    const createRebuilder: RebuilderFactory | undefined =
      gitlabCore &&
      ((onWait) =>
        new Rebuilder({
          gitlab: gitlabCore.gitlab(),
          resolver: gitlabCore.resolver({ isReadOnly: true }),
          rateLimiter: gitlabCore.rateLimiter(),
          temporaryRoot: gitlabCore.temporaryRoot,
          onWait,
        }));
    return await verifyVersions(await core.existingStore(), core.temporaryRoot, createRebuilder, options);
  } catch (error) {
    if (isUsageError(error)) throw error;
    throw error instanceof NotInStore ? new UsageError([error.message]) : new Error('cannot verify', { cause: error });
  } finally {
    await core.close();
  }
}

/**
 * Verifies the versions, shows the progress and writes the report. Resolves to the exit status. After a signal, the
 * report covers the versions verified so far.
 */
async function verifyVersions(
  store: VerifyParts['store'],
  temporaryRoot: string,
  createRebuilder: RebuilderFactory | undefined,
  { selection, json }: VerifyOptions,
): Promise<number> {
  const started = performance.now();
  const report = json ? jsonReport(process.stdout) : textReport(process.stdout);
  const progress = showProgress(process.stderr, { unit: 'versions' });
  try {
    const parts: VerifyParts = {
      store,
      temporaryRoot,
      rebuilder: createRebuilder?.((reason, waitMs) => progress.wait(reason, waitMs)),
      onFinding: (finding) => progress.print(() => report.add(finding)),
      onProgress: (done, found) => progress.update(done, found),
    };
    const { result: counts, signalStatus } = await untilStopped((signal) => verifyStore(parts, selection, signal));
    progress.stop();
    report.finish(counts, (performance.now() - started) / 1000, signalStatus === undefined);
    return signalStatus ?? (allWell(counts) ? 0 : 1);
  } finally {
    progress.stop();
  }
}
