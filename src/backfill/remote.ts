import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { sleep } from '../async/sleep.ts';
import { parseJson } from '../io/json.ts';
import { backfillProgressSchema, isOver, notBegun, type BackfillProgress } from './backfill-progress.ts';
import type { BackfillRequest } from './backfill-request.ts';

/** A service that does the work. */
export interface Remote {
  /** Base URL, without a final slash. */
  readonly url: string;
  /** ADMIN_TOKEN, or the id_token of a CI job. */
  readonly token: string;
}

/** The service refuses, or cannot be reached for too long. The message is one line for people. */
class RemoteFailed extends Error {
  override readonly name = 'RemoteFailed';
  /** Whether it may work in a moment, as when the service is being restarted. */
  readonly passes: boolean;

  constructor(message: string, passes = false) {
    super(message);
    this.passes = passes;
  }
}

const startedSchema = z.object({ id: z.string(), followToken: z.string(), progress: backfillProgressSchema });
const foundSchema = z.object({ progress: backfillProgressSchema });

/** A service that forgets a backfill so often without ever telling how far it is, has replicas that know nothing of each other. */
const RESTARTS = 10;
/** How often one asks, and for how long a service may be silent, in milliseconds. */
const LOOK_MS = 1_000;
const PATIENCE_MS = 120_000;
const TIMEOUT_MS = 30_000;

/**
 * Has a service do a backfill and follows it. A service that restarts is waited for, and one that has forgotten the backfill
 * is told again, since it goes on where it was. Resolves to the last progress, also when `signal` is aborted: the service
 * goes on, if it had begun. Rejects with RemoteFailed.
 */
export async function backfillRemotely(
  remote: Remote,
  request: BackfillRequest,
  onProgress: (progress: BackfillProgress) => void,
  signal: AbortSignal,
): Promise<BackfillProgress> {
  let started: z.output<typeof startedSchema>;
  try {
    started = await start(remote, request, signal);
  } catch (error) {
    if (signal.aborted) return notBegun(request.dryRun);
    throw error;
  }
  let progress = started.progress;
  let heardAt = Date.now();
  let restarts = 0;
  while (!isOver(progress) && !signal.aborted) {
    onProgress(progress);
    await sleep(LOOK_MS, signal);
    try {
      const answer = await call(
        remote.url,
        `/-/backfill/${started.id}`,
        { headers: { Authorization: `Bearer ${started.followToken}`, Accept: 'application/json' } },
        signal,
      );
      if (answer.status === 200) {
        ({ progress } = foundSchema.parse(await answer.json()));
        heardAt = Date.now();
        restarts = 0;
      } else if (answer.status === 404 || answer.status === 401) {
        if (++restarts > RESTARTS)
          throw new RemoteFailed(
            `the service at ${remote.url} knows nothing of a backfill that it has begun: all its replicas need the same REDIS_URL`,
          );
        started = await start(remote, request, signal);
      } else throw new Error(`it answered ${answer.status}`);
    } catch (error) {
      if (error instanceof RemoteFailed && !error.passes) throw error;
      if (Date.now() - heardAt > PATIENCE_MS)
        throw new RemoteFailed(
          `the service at ${remote.url} has not been heard of for ${PATIENCE_MS / 1000} s: ${messageOf(error)}`,
        );
      if (!signal.aborted)
        progress = {
          ...progress,
          waiting: `the service does not answer, and is waited for up to ${PATIENCE_MS / 1000} s`,
        };
    }
  }
  return progress;
}

async function start(
  { url, token }: Remote,
  request: BackfillRequest,
  signal: AbortSignal,
): Promise<z.output<typeof startedSchema>> {
  let answer: Response;
  try {
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
    answer = await call(url, '/-/backfill', { method: 'POST', headers, body: JSON.stringify(request) }, signal);
  } catch (cause) {
    throw new RemoteFailed(`the service at ${url} cannot be reached: ${messageOf(cause)}`, true);
  }
  const text = await answer.text();
  if (answer.status !== 202) throw refused(url, answer, text);
  const parsed = startedSchema.safeParse(parseJson(text));
  if (!parsed.success) throw new RemoteFailed(`what answers at ${url} is no modpress of this version`);
  return parsed.data;
}

/** What an answer says that is none of a backfill's. A page is of something else, such as a proxy in front. */
function refused(url: string, { status, headers }: Response, text: string): RemoteFailed {
  const location = headers.get('location');
  if (status >= 300 && status < 400 && location !== null && URL.canParse(location, url)) {
    const target = new URL(location, url).href.replace(/\/-\/backfill$/, '').slice(0, 200);
    return new RemoteFailed(`the service at ${url} redirects to ${target}: if that is the service, give it as --url`);
  }
  const isPage = /^text\/html\b/i.test(headers.get('content-type') ?? '');
  if (isPage && status < 500) {
    return new RemoteFailed(
      `nothing at ${url} takes backfills (${status}): --url has to be the address of a service with the role webhook or worker`,
    );
  }
  const line = isPage ? '' : text.trim().split('\n')[0]?.slice(0, 500);
  return new RemoteFailed(`the service at ${url} answers ${status}${line ? `: ${line}` : ''}`, status >= 500);
}

async function call(url: string, path: string, options: RequestInit, signal: AbortSignal): Promise<Response> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(`${url}${path}`, { ...options, redirect: 'manual', signal: AbortSignal.any([signal, timeout]) });
  } catch (error) {
    throw timeout.aborted ? new Error(`no answer within ${TIMEOUT_MS / 1000} s`) : error;
  }
}
