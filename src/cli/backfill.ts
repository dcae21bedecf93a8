import { parseArgs } from 'node:util';
import { backfillRemotely } from '../backfill/remote.ts';
import { isOver, type BackfillProgress } from '../backfill/backfill-progress.ts';
import { progressLine, shortProgressLine, summary } from '../backfill/report.ts';
import { parseBackfillRequest, type BackfillRequest } from '../backfill/backfill-request.ts';
import { UnknownTargets } from '../backfill/backfill.ts';
import { backfillHere } from '../backfill/here.ts';
import { loadAdminToken, loadPublishConfig } from '../config/commands.ts';
import { ConfigError } from '../config/reader.ts';
import { baseUrl } from '../config/values.ts';
import { messageOf } from '../errors.ts';
import { showProgress } from './progress.ts';
import { untilStopped } from './stop-signal.ts';
import { usageError } from './usage-error.ts';

const HELP = `Usage: modpress backfill [GROUP|PROJECT ...] [--since DATE] [--dry-run] [--json] [--url URL]

Publishes every tag that is not published yet: of the groups, with all groups below them, and projects named, else of all
in GITLAB_SCOPE. What is done already costs nothing, so that it can be interrupted and started again at any time.

  --since DATE   only tags made at or after this date (2026-01-31, or a time such as 2026-01-31T12:00:00Z); of tags
                 without a message, the commit's date counts
  --dry-run      only tells how many tags would be looked at
  --json         one JSON object a line: the progress every few seconds, and a last one with "kind":"summary"
  --url URL      has the service at this address do it, and follows. It wants ADMIN_TOKEN, or in a CI job
                 MODPRESS_ID_TOKEN, an id_token that ADMIN_OIDC of the service allows

Exit status: 0 nothing failed, 1 something failed or the service refused, 2 wrong arguments or settings, 130 interrupted.
A refused version is told and no reason for 1: it needs a person, not another try.

Without --url the settings are those of modpress serve: GITLAB_URL, GITLAB_TOKEN, GITLAB_SCOPE, GITLAB_RATE,
MODULE_PREFIX, MODULE_MAP, STORE and what belongs to it, RETAG, and REDIS_URL where the service has it.
`;

/** What is asked for on the command line. */
interface Options {
  readonly request: BackfillRequest;
  readonly json: boolean;
  /** Base URL of the service. */
  readonly url: string | undefined;
}

/** How often a line of progress is written where there is no terminal, in milliseconds. */
const LINE_MS = 5_000;

/** `modpress backfill`: resolves to the exit status, as its help tells. */
export async function backfill(args: readonly string[]): Promise<number> {
  const options = readArguments(args);
  if (typeof options === 'string') {
    process.stdout.write(options);
    return 0;
  }
  if (Array.isArray(options)) return usageError('backfill', options);
  try {
    return await run(options);
  } catch (error) {
    if (error instanceof ConfigError) return usageError('backfill', error.faults);
    if (error instanceof UnknownTargets) return usageError('backfill', [error.message]);
    complainOf(messageOf(error));
    return 1;
  }
}

async function run({ request, json, url }: Options): Promise<number> {
  const work =
    url === undefined ? backfillHere(loadPublishConfig(process.env)) : remotely(url, loadAdminToken(process.env));
  const view = json ? jsonView() : textView();
  try {
    const { result: progress, signalStatus } = await untilStopped((signal) => {
      if (url === undefined)
        signal.addEventListener('abort', () =>
          view.say('what is under way is finished first; interrupt again to end at once'),
        );
      return work(request, (current) => view.show(current), signal);
    });
    view.stop();
    const complete = isOver(progress);
    if (json) printLine({ kind: 'summary', ...progress, complete });
    else
      process.stdout.write(
        summary(
          progress,
          complete
            ? undefined
            : url === undefined
              ? 'the same command goes on from here'
              : 'what the service has begun goes on, and the same command follows it',
        ),
      );
    return signalStatus ?? (progress.state === 'done' && progress.failed === 0 ? 0 : 1);
  } finally {
    view.stop();
  }
}

function remotely(url: string, token: string) {
  return (
    request: BackfillRequest,
    onProgress: (progress: BackfillProgress) => void,
    signal: AbortSignal,
  ): Promise<BackfillProgress> => backfillRemotely({ url, token }, request, onProgress, signal);
}

interface View {
  show(progress: BackfillProgress): void;
  /** Tells people something beside the progress. */
  say(line: string): void;
  stop(): void;
}

/** On standard error, so that the table alone is the output. */
function textView(): View {
  const progress = showProgress(process.stderr, { unit: 'tags', intervalMs: LINE_MS });
  return {
    show: (current) =>
      progress.update(current.tags.done, current.tags.found, {
        detail: progressLine(current),
        short: shortProgressLine(current),
        fraction: current.fraction,
        // By one clock; and a service may have been at it for long.
        seconds: (Date.parse(current.updatedAt) - Date.parse(current.startedAt)) / 1000,
      }),
    say: (line) => progress.print(() => complainOf(line)),
    stop: () => progress.stop(),
  };
}

function jsonView(): View {
  let latest: BackfillProgress | undefined;
  const timer = setInterval(() => {
    if (latest) printLine({ kind: 'progress', ...latest });
  }, LINE_MS);
  return { show: (current) => void (latest = current), say: complainOf, stop: () => clearInterval(timer) };
}

function complainOf(line: string): void {
  process.stderr.write(`modpress: ${line.replaceAll(/\s+/g, ' ')}\n`);
}

function printLine(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** What the arguments ask for, the help text, or what is wrong with them. */
function readArguments(args: readonly string[]): Options | string | string[] {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        since: { type: 'string' },
        'dry-run': { type: 'boolean' },
        json: { type: 'boolean' },
        url: { type: 'string' },
        help: { type: 'boolean' },
      },
    });
    if (values.help) return HELP;
    const request = parseBackfillRequest({
      targets: positionals,
      since: values.since,
      dryRun: values['dry-run'] === true,
    });
    if ('faults' in request)
      return request.faults.map((fault) => fault.replace(/^since/, `--since ${JSON.stringify(values.since)}`));
    const wrongUrl = values.url === undefined ? undefined : faultOf(values.url);
    if (wrongUrl !== undefined) return [wrongUrl];
    return { request, json: values.json === true, url: values.url?.replace(/\/+$/, '').replace(/\/-\/backfill$/, '') };
  } catch (error) {
    return [messageOf(error)];
  }
}

function faultOf(url: string): string | undefined {
  try {
    baseUrl(url);
    return undefined;
  } catch (error) {
    return `--url ${messageOf(error)}`;
  }
}
