import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { sleep } from '../async/sleep.ts';
import type { HttpClient, OutgoingRequest } from '../http-client/http-client.ts';
import { readBody, type BodyLimits } from '../http-client/read-body.ts';
import { parseJson } from '../io/json.ts';
import { backfillProgressSchema, isOver, initialProgress, type BackfillProgress } from './backfill-progress.ts';
import type { BackfillRequest } from './backfill-request.ts';

/** A service that runs backfills. */
export interface RemoteService {
  readonly http: HttpClient;
  /** Base URL, without a trailing slash. */
  readonly url: string;
  /** ADMIN_TOKEN, or the id_token of a CI job. */
  readonly token: string;
}

/** The service refused the backfill, or did not answer for too long. The message is one line for the user. */
class RemoteBackfillError extends Error {
  override readonly name = 'RemoteBackfillError';
  /** Whether the same call may succeed later, for example after a restart of the service. */
  readonly isTemporary: boolean;

  constructor(message: string, isTemporary = false) {
    super(message);
    this.isTemporary = isTemporary;
  }
}

const startedSchema = z.object({ id: z.string(), followToken: z.string(), progress: backfillProgressSchema });
const foundSchema = z.object({ progress: backfillProgressSchema });

/**
 * The command gives up if the service loses the backfill more often than this without reporting progress in between.
 * The replicas of the service then probably do not share one Redis.
 */
const MAX_RESTARTS = 10;
/** How often the command requests the progress. */
const POLL_MS = 1_000;
/** The command gives up if the service has reported no progress for longer than this. */
const MAX_SILENCE_MS = 120_000;
/** The timeout of one request. */
const TIMEOUT_MS = 30_000;
/** The progress of a backfill names at most 200 tags with their reasons. */
const BODY_LIMITS: BodyLimits = { maxBytes: 4 * 1024 * 1024, timeoutMs: TIMEOUT_MS };

/**
 * Starts a backfill in a service and follows its progress. Waits while the service restarts. If the service has lost
 * the backfill, starts a new one, which continues where the old one stopped. Resolves to the last progress, also once
 * `signal` is aborted: the service then continues without the command. Rejects with RemoteBackfillError.
 */
export async function backfillRemotely(
  service: RemoteService,
  request: BackfillRequest,
  onProgress: (progress: BackfillProgress) => void,
  signal: AbortSignal,
): Promise<BackfillProgress> {
  let started: z.output<typeof startedSchema>;
  try {
    started = await start(service, request, signal);
  } catch (error) {
    if (signal.aborted) return initialProgress(request.dryRun);
    throw error;
  }
  let progress = started.progress;
  let answeredAt = Date.now();
  let restarts = 0;
  while (!isOver(progress) && !signal.aborted) {
    onProgress(progress);
    await sleep(POLL_MS, signal);
    try {
      const response = await call(
        service,
        `/-/backfill/${started.id}`,
        { headers: { Authorization: `Bearer ${started.followToken}`, Accept: 'application/json' } },
        signal,
      );
      if (response.status === 200) {
        ({ progress } = foundSchema.parse(parseJson(response.text)));
        answeredAt = Date.now();
        restarts = 0;
      } else if (response.status === 404 || response.status === 401) {
        if (++restarts > MAX_RESTARTS)
          throw new RemoteBackfillError(
            `the service at ${service.url} has lost a backfill that it started: all its replicas need the same REDIS_URL`,
          );
        started = await start(service, request, signal);
      } else throw new Error(`it answered ${response.status}`);
    } catch (error) {
      if (error instanceof RemoteBackfillError && !error.isTemporary) throw error;
      if (Date.now() - answeredAt > MAX_SILENCE_MS)
        throw new RemoteBackfillError(
          `the service at ${service.url} has reported no progress for ${MAX_SILENCE_MS / 1000} s: ${messageOf(error)}`,
        );
      if (!signal.aborted)
        progress = {
          ...progress,
          waiting: `the service does not answer; waiting up to ${MAX_SILENCE_MS / 1000} s`,
        };
    }
  }
  return progress;
}

async function start(
  service: RemoteService,
  request: BackfillRequest,
  signal: AbortSignal,
): Promise<z.output<typeof startedSchema>> {
  const { url, token } = service;
  let response: ServiceResponse;
  try {
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
    response = await call(service, '/-/backfill', { method: 'POST', headers, body: JSON.stringify(request) }, signal);
  } catch (cause) {
    throw new RemoteBackfillError(`the service at ${url} cannot be reached: ${messageOf(cause)}`, true);
  }
  if (response.status !== 202) throw refusalOf(url, response);
  const parsed = startedSchema.safeParse(parseJson(response.text));
  if (!parsed.success)
    throw new RemoteBackfillError(`the response of the service at ${url} does not match this version of modpress`);
  return parsed.data;
}

/**
 * Returns the error for a response that did not start a backfill. An HTML page comes from another program, such as a
 * reverse proxy.
 */
function refusalOf(url: string, { status, headers, text }: ServiceResponse): RemoteBackfillError {
  const location = headers.get('location');
  if (status >= 300 && status < 400 && location !== null && URL.canParse(location, url)) {
    const target = new URL(location, url).href.replace(/\/-\/backfill$/, '').slice(0, 200);
    return new RemoteBackfillError(
      `the service at ${url} redirects to ${target}: if this is the address of the service, use it as --url`,
    );
  }
  const isPage = /^text\/html\b/i.test(headers.get('content-type') ?? '');
  if (isPage && status < 500) {
    return new RemoteBackfillError(
      `no backfill service answers at ${url} (${status}): --url must be the address of a service with the role webhook or worker`,
    );
  }
  const line = isPage ? '' : text.trim().split('\n')[0]?.slice(0, 500);
  return new RemoteBackfillError(`the service at ${url} answered ${status}${line ? `: ${line}` : ''}`, status >= 500);
}

/** A response of the service, with its whole body. */
interface ServiceResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function call(
  { http, url }: RemoteService,
  path: string,
  request: Omit<OutgoingRequest, 'signal'>,
  signal: AbortSignal,
): Promise<ServiceResponse> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await http.fetch(new URL(`${url}${path}`), {
      ...request,
      signal: AbortSignal.any([signal, timeout]),
    });
    const { status, headers } = response;
    return { status, headers, text: (await readBody(response, BODY_LIMITS)).toString() };
  } catch (error) {
    throw timeout.aborted ? new Error(`no answer within ${TIMEOUT_MS / 1000} s`) : error;
  }
}
