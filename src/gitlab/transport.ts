import { createRequesterFn, type RequestOptions } from '@gitbeaker/requester-utils';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, Retry } from '../errors.ts';
import { httpGet } from '../io/http-get.ts';
import { restMs, retryAfterMs } from './rate-limit-headers.ts';

/** GitLab says that what was asked for does not exist, or that the token may not see it. `text` is the beginning of its body. */
export class NotFound extends Error {
  override readonly name = 'NotFound';
  readonly text: string;

  constructor(text: string, message: string) {
    super(message);
    this.text = text;
  }
}

/** GitLab answers a call with an error. `status` is that of its answer, `text` the beginning of its body. */
export class ErrorAnswer extends Retry {
  readonly status: number;
  readonly text: string;

  constructor(status: number, text: string, message: string, afterMs?: number) {
    super(message, withDelay(afterMs));
    this.status = status;
    this.text = text;
  }
}

/** What the requester needs from outside. */
export interface TransportOptions {
  /** Resolves when the next call to GitLab may be made. */
  readonly beforeCall: () => Promise<void>;
  /** Told for how many milliseconds GitLab wants no further calls; `beforeCall` should not resolve before. */
  readonly hold?: (ms: number) => void | Promise<void>;
  /** Told of every answer: the route's shape, the status (0 for none), and seconds to the headers. */
  readonly observe?: (status: number, seconds: number) => void;
}

interface GitLabResponse {
  readonly body: unknown;
  readonly headers: Record<string, string>;
  readonly status: number;
}

/** A GitLab that has not begun to answer within a minute is down. */
const HEADERS_TIMEOUT_MS = 60_000;
/** An outage of a moment is waited out here, so that it does not cost a job its work so far. */
const PATIENCE_MS = [300, 1500];
/** A rate limit is waited out here as well, so that a long listing does not begin anew: up to so long, and so often. */
const RATE_PATIENCE_MS = 120_000;
const RATE_REPEATS = 5;
const MAX_REDIRECTS = 3;
const PASSING = new Set([500, 502, 503, 504]);
/** The archive limit is counted by the minute, and its 429 says nothing about when to come back. */
const RATE_LIMITED_MS = 60_000;
/** A refused token or role needs a person: no use in asking again soon, but the tag must not be lost. */
const REFUSED_MS = 5 * 60_000;

/**
 * The transport under @gitbeaker. Its own one asks ten times within half a second after a 429 and allows five
 * archives a minute over all projects together; this one paces calls, waits where GitLab asks for it, and turns
 * every failure into NotFound or Retry.
 */
export function createTransport(options: TransportOptions): ReturnType<typeof createRequesterFn> {
  return createRequesterFn(
    (_, request) => Promise.resolve(request),
    (endpoint, request) =>
      send(endpoint, request ?? {}, options) as ReturnType<Parameters<typeof createRequesterFn>[1]>,
  );
}

async function send(
  endpoint: string,
  request: Partial<RequestOptions>,
  options: TransportOptions,
): Promise<GitLabResponse> {
  const isArchive = /\/repository\/archive(?:\.[a-z0-9.]+)?$/.test(endpoint);
  let failures = 0;
  let limited = 0;
  for (;;) {
    await options.beforeCall();
    const patience = request.method === 'GET' ? PATIENCE_MS[failures] : undefined;
    try {
      const response = await fetchOnce(endpoint, request, options);
      await holdAll(response, isArchive, options);
      if (response.ok) return await read(response, request.asStream === true);
      const problem = await describe(response, endpoint);
      const waitMs =
        response.status === 429 && request.method === 'GET' && !isArchive ? retryAfterMs(response.headers) : undefined;
      if (waitMs !== undefined && waitMs <= RATE_PATIENCE_MS && limited < RATE_REPEATS) {
        limited += 1;
        await sleep(waitMs);
        continue;
      }
      if (patience === undefined || !PASSING.has(response.status)) throw problem;
    } catch (error) {
      if (error instanceof NotFound || error instanceof Retry) throw error;
      if (patience === undefined) throw new Retry(`GitLab does not answer (${endpoint})`, { cause: error });
    }
    failures += 1;
    await sleep(patience);
  }
}

/** Passes on that GitLab wants no calls for a while. Rejects as `hold` does; the answer is then given up. */
async function holdAll(response: Response, isArchive: boolean, { hold }: TransportOptions): Promise<void> {
  const ms = restMs(response, isArchive);
  if (ms === 0) return;
  try {
    await hold?.(ms);
  } catch (error) {
    await response.body?.cancel();
    throw error;
  }
}

async function fetchOnce(
  endpoint: string,
  request: Partial<RequestOptions>,
  { observe }: TransportOptions,
): Promise<Response> {
  const { prefixUrl = '', searchParams, method = 'GET', headers, body } = request;
  let url = new URL(endpoint, prefixUrl.endsWith('/') ? prefixUrl : `${prefixUrl}/`);
  url.search = searchParams ?? '';
  const timeout = new AbortController();
  const timer = setTimeout(
    () => timeout.abort(new Error(`no answer within ${HEADERS_TIMEOUT_MS / 1000} s`)),
    HEADERS_TIMEOUT_MS,
  );
  const started = performance.now();
  let status = 0;
  try {
    for (let redirects = 0; ; redirects++) {
      const { signal } = timeout;
      const response =
        request.asStream === true
          ? await httpGet(url, { headers: headers ?? {}, signal })
          : await fetch(url, {
              method,
              ...(headers && { headers }),
              ...(body !== undefined && { body }),
              redirect: 'manual',
              signal,
            });
      ({ status } = response);
      const location = status >= 300 && status < 400 ? response.headers.get('location') : null;
      if (location === null || redirects === MAX_REDIRECTS) return response;
      await response.body?.cancel();
      url = redirected(url, location);
    }
  } finally {
    clearTimeout(timer);
    observe?.(status, (performance.now() - started) / 1000);
  }
}

/** Moved projects are redirected within GitLab. Any other host gets neither our token nor our trust. */
function redirected(from: URL, location: string): URL {
  const to = new URL(location, from);
  if (to.origin === from.origin) return to;
  throw new Retry(`GitLab redirects to ${to.origin}: GITLAB_URL has to be the address at which GitLab itself answers`, {
    afterMs: REFUSED_MS,
  });
}

async function read(response: Response, asStream: boolean): Promise<GitLabResponse> {
  const headers = Object.fromEntries(response.headers);
  if (asStream) return { body: response.body, headers, status: response.status };
  const isJson = headers['content-type']?.startsWith('application/json') === true;
  return { body: isJson ? await response.json() : await response.arrayBuffer(), headers, status: response.status };
}

/** The error for an answer that is none, with what to do about it. */
async function describe(response: Response, endpoint: string): Promise<NotFound | ErrorAnswer> {
  const text = (await response.text().catch(messageOf)).slice(0, 300);
  const { status } = response;
  const what = `GitLab answered ${status} for ${endpoint}: ${text}`;
  switch (status) {
    case 404:
      return new NotFound(text, what);
    case 401:
      return new ErrorAnswer(status, text, `${what} (is GITLAB_TOKEN still valid?)`, REFUSED_MS);
    case 403:
      return new ErrorAnswer(
        status,
        text,
        `${what} (GITLAB_TOKEN needs the scope read_api and at least the role Reporter)`,
        REFUSED_MS,
      );
    case 429:
      return new ErrorAnswer(status, text, what, retryAfterMs(response.headers) ?? RATE_LIMITED_MS);
    default:
      return new ErrorAnswer(status, text, what, retryAfterMs(response.headers));
  }
}

function withDelay(afterMs: number | undefined): { afterMs?: number } {
  return afterMs === undefined ? {} : { afterMs };
}
