import { inBackground } from '../async/background.ts';
import { withCore } from '../app/with-core.ts';
import { isOver, type BackfillProgress } from '../backfill/backfill-progress.ts';
import type { BackfillRequest } from '../backfill/backfill-request.ts';
import { backfill, checkBackfillSettings, UnknownTargets, type BackfillParts } from '../backfill/backfill.ts';
import { backfillRemotely } from '../backfill/remote.ts';
import { progressLine, shortProgressLine, summary } from '../backfill/report.ts';
import type { BackfillWork } from '../backfill/runs.ts';
import { loadRemoteConfig, loadPublishConfig } from '../config/command-config.ts';
import type { PublishConfig } from '../config/shared-config.ts';
import { printError, printJson, UsageError } from './command.ts';
import { showProgress } from './progress.ts';
import { untilStopped } from './stop-signal.ts';

/** The arguments of `modpress backfill`. */
export interface BackfillOptions {
  readonly request: BackfillRequest;
  readonly json: boolean;
  /** Base URL of the service that does the work. Undefined if this process does it. */
  readonly url: string | undefined;
}

/** How often the progress is written with --json or without a terminal, in milliseconds. */
const PROGRESS_MS = 5_000;

/** Runs `modpress backfill`. Resolves to the exit status. */
export async function runBackfill({ request, json, url }: BackfillOptions): Promise<number> {
  const work = url === undefined ? localWork(loadPublishConfig(process.env)) : remoteWork(url);
  const view = json ? jsonView() : textView();
  try {
    const { result: progress, signalStatus } = await untilStopped((signal) => {
      if (url === undefined)
        signal.addEventListener('abort', () =>
          view.print('waiting for tags in progress; interrupt again to stop immediately'),
        );
      return work(request, (current) => view.show(current), signal);
    });
    view.stop();
    const complete = isOver(progress);
    if (json) printJson({ kind: 'summary', ...progress, complete });
    else process.stdout.write(summary(progress, complete ? undefined : continuationHint(url)));
    return signalStatus ?? (progress.state === 'done' && progress.failed === 0 ? 0 : 1);
  } catch (error) {
    throw error instanceof UnknownTargets ? new UsageError([error.message]) : error;
  } finally {
    view.stop();
  }
}

/**
 * Returns the work for a backfill in this process. With REDIS_URL, it shares rate limits and locks with the service.
 */
function localWork(config: PublishConfig): BackfillWork {
  return (request, onProgress, signal) =>
    withCore(config, async (core) => {
      const store = await core.store();
      await store.check();
      await core.startTemporaryFolderCleanup();
      await checkBackfillSettings(core.gitlab());
      const publisher = await core.publisher();
      const parts: BackfillParts = {
        gitlab: core.gitlab(),
        store,
        ownership: core.ownership(),
        publish: (job) => publisher.publish(job),
      };
      return await inBackground(() => backfill(parts, request, onProgress, signal));
    });
}

function remoteWork(url: string): BackfillWork {
  const config = loadRemoteConfig(process.env);
  return (request, onProgress, signal) =>
    withCore(config, (core) =>
      backfillRemotely({ http: core.http(), url, token: config.token }, request, onProgress, signal),
    );
}

function continuationHint(url: string | undefined): string {
  return url === undefined
    ? 'run the same command again to continue'
    : 'the service continues the backfill; run the same command again to follow it';
}

/** Shows the progress to a person or to a program. */
interface View {
  show(progress: BackfillProgress): void;
  /** Writes a line to standard error without disturbing the progress bar. */
  print(line: string): void;
  stop(): void;
}

/** Shows the progress on standard error, because standard output is for the summary. */
function textView(): View {
  const progress = showProgress(process.stderr, { unit: 'tags', intervalMs: PROGRESS_MS });
  return {
    show: (current) =>
      progress.update(current.tags.done, current.tags.found, {
        detail: progressLine(current),
        short: shortProgressLine(current),
        fraction: current.fraction,
        // Both times come from the clock of the process that does the work. A service may have started the work long
        // before this command.
        seconds: (Date.parse(current.updatedAt) - Date.parse(current.startedAt)) / 1000,
      }),
    print: (line) => progress.print(() => printError(line)),
    stop: () => progress.stop(),
  };
}

function jsonView(): View {
  let latest: BackfillProgress | undefined;
  const timer = setInterval(() => {
    if (latest) printJson({ kind: 'progress', ...latest });
  }, PROGRESS_MS);
  return { show: (current) => void (latest = current), print: printError, stop: () => clearInterval(timer) };
}
