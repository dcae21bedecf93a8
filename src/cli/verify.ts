import { parseArgs } from 'node:util';
import { loadVerifyConfig, type VerifyConfig } from '../config/commands.ts';
import { ConfigError } from '../config/reader.ts';
import { messageOf } from '../errors.ts';
import { TEMPORARY_ROOT } from '../io/temporary-folder.ts';
import { openStore } from '../store/open-store.ts';
import { allWell, type Counts } from '../verify/finding.ts';
import { openGitLabSource } from '../verify/gitlab-source.ts';
import { jsonReport, textReport, type Report } from '../verify/report.ts';
import { parseSelection, type Selection } from '../verify/selection.ts';
import { NotInStore, verifyStore } from '../verify/verify.ts';
import { assertStore } from './assert-store.ts';
import { showProgress, type Progress } from './progress.ts';
import { untilStopped } from './stop-signal.ts';
import { usageError } from './usage-error.ts';

const HELP = `Usage: modpress verify [MODULE[@VERSION] ...] [--from-gitlab] [--json]

Computes every checksum in the store again and compares it with the one that was recorded when the version was
published. Without arguments all versions are verified, else those named. Nothing is changed.

  --from-gitlab  also builds each version again from the repository, at the commit it was published from. GitLab
                 allows 5 archives a minute for a project, so that this takes its time
  --json         one JSON object a line for everything found, and a last one with the counts

Exit status: 0 all is well, 1 something differs, is missing or could not be checked, 2 wrong arguments or settings,
130 interrupted. A version without a record, one that was withdrawn, or a file left by an unfinished publish, is told and
no reason for 1.

Settings are those of modpress serve: STORE, with S3_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION
for a bucket; with --from-gitlab also GITLAB_URL and GITLAB_TOKEN, and GITLAB_SCOPE, GITLAB_RATE, MODULE_PREFIX,
MODULE_MAP and REDIS_URL where the service has them.
`;

/** What is asked for on the command line. */
interface Options {
  readonly selection: Selection;
  readonly fromGitLab: boolean;
  readonly json: boolean;
}

/** `modpress verify`: resolves to the exit status, as its help tells. */
export async function verify(args: readonly string[]): Promise<number> {
  const options = readArguments(args);
  if (typeof options === 'string') {
    process.stdout.write(options);
    return 0;
  }
  if (options instanceof Error) return usageError('verify', [options.message]);
  const report = options.json ? jsonReport(process.stdout) : textReport(process.stdout);
  try {
    const config = loadVerifyConfig(process.env, options.fromGitLab);
    await assertStore(config.store);
    return await run(config, options.selection, report);
  } catch (error) {
    if (error instanceof ConfigError) return usageError('verify', error.faults);
    if (error instanceof NotInStore) return usageError('verify', [error.message]);
    process.stderr.write(`modpress: cannot verify: ${messageOf(error)}\n`);
    return 1;
  }
}

/** Verifies, shows how far it is, and reports; a signal ends it early, with what is known by then. */
async function run(config: VerifyConfig, selection: Selection, report: Report): Promise<number> {
  const started = performance.now();
  const progress = showProgress(process.stderr, { unit: 'versions' });
  try {
    const { result: counts, signalStatus } = await untilStopped((signal) =>
      withParts(config, selection, report, progress, signal),
    );
    progress.stop();
    report.finish(counts, (performance.now() - started) / 1000, signalStatus === undefined);
    return signalStatus ?? (allWell(counts) ? 0 : 1);
  } finally {
    progress.stop();
  }
}

async function withParts(
  config: VerifyConfig,
  selection: Selection,
  report: Report,
  progress: Progress,
  signal: AbortSignal,
): Promise<Counts> {
  const onWait = (reason: string, ms: number): void => progress.wait(reason, ms);
  const source = config.gitlab && openGitLabSource(config.gitlab, { temporaryRoot: TEMPORARY_ROOT, onWait });
  const store = await openStore(config.store);
  try {
    return await verifyStore(
      {
        store,
        temporaryRoot: TEMPORARY_ROOT,
        rebuilder: source?.rebuilder,
        onFinding: (finding) => progress.print(() => report.add(finding)),
        onProgress: (done, found) => progress.update(done, found),
      },
      selection,
      signal,
    );
  } finally {
    await store[Symbol.asyncDispose]();
    source?.[Symbol.dispose]();
  }
}

/** What the arguments ask for, the help text, or what is wrong with them. */
function readArguments(args: readonly string[]): Options | string | Error {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { 'from-gitlab': { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
    });
    if (values.help) return HELP;
    return {
      selection: parseSelection(positionals),
      fromGitLab: values['from-gitlab'] === true,
      json: values.json === true,
    };
  } catch (error) {
    return new Error(messageOf(error));
  }
}
