import { createRequesterFn, type RequestOptions } from '@gitbeaker/requester-utils';
import { retry } from '../async/retry.ts';
import { Retry } from '../errors.ts';
import type { HttpClient } from '../http-client/http-client.ts';
import { readBody, type BodyLimits } from '../http-client/read-body.ts';
import { CallRetryPolicy, NoResponse } from './call-retry-policy.ts';
import { errorOf, GitLabNotFound, NEEDS_PERSON_MS } from './error-response.ts';
import { rateLimitPauseMs } from './rate-limit-headers.ts';

/** The dependencies of the transport. */
export interface TransportOptions {
  readonly http: HttpClient;
  /**
   * Called before each attempt. Resolves when the call to GitLab may be made. A rejection ends the call with the same
   * error.
   */
  readonly beforeCall: () => Promise<void>;
  /**
   * Called with the length of a rate-limit pause, in milliseconds. Until the pause is over, `beforeCall` should not
   * resolve.
   */
  readonly hold?: (pauseMs: number) => void | Promise<void>;
  /**
   * Called after each attempt. `status` is the status of the response, or 0 without a response. `seconds` is the time
   * until the headers arrived.
   */
  readonly observe?: (status: number, seconds: number) => void;
}

interface GitLabResponse {
  readonly body: unknown;
  readonly headers: Record<string, string>;
  readonly status: number;
}

/** How long a call waits for the headers of a response, in milliseconds. */
const HEADERS_TIMEOUT_MS = 60_000;
const MAX_REDIRECTS = 3;
/**
 * The limits of a response that is read into memory. A page of a list has at most 100 items, and the largest of them
 * are tags with release notes. Files, blobs and archives are streams, and their readers have their own limits.
 */
const BODY_LIMITS: BodyLimits = { maxBytes: 32 * 1024 * 1024, timeoutMs: 60_000 };

/**
 * Creates the transport for @gitbeaker. After a 429, Gitbeaker's own transport repeats a call ten times within half a
 * second. It also allows only five archives a minute for all projects together. This transport follows the rate limiter
 * and GitLab's rate-limit headers, and retries as CallRetryPolicy decides. Its own errors are always a GitLabNotFound
 * or a Retry.
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
  const policy = new CallRetryPolicy({ isRead: request.method === 'GET', isArchive });
  return await retry(async () => {
    await options.beforeCall();
    try {
      const response = await fetchOnce(endpoint, request, options);
      await reportPause(response, isArchive, options);
      if (response.ok) return await read(response, request.asStream === true);
      throw await errorOf(response, endpoint);
    } catch (error) {
      if (error instanceof GitLabNotFound || error instanceof Retry) throw error;
      throw new NoResponse(endpoint, error);
    }
  }, policy);
}

/** Reports a rate-limit pause to `hold`. If `hold` rejects, cancels the response and throws that error. */
async function reportPause(response: Response, isArchive: boolean, { hold }: TransportOptions): Promise<void> {
  const pauseMs = rateLimitPauseMs(response, isArchive);
  if (pauseMs === 0) return;
  try {
    await hold?.(pauseMs);
  } catch (error) {
    await response.body?.cancel();
    throw error;
  }
}

async function fetchOnce(
  endpoint: string,
  request: Partial<RequestOptions>,
  { http, observe }: TransportOptions,
): Promise<Response> {
  const { prefixUrl = '', searchParams, method = 'GET', headers, body } = request;
  let url = new URL(endpoint, prefixUrl.endsWith('/') ? prefixUrl : `${prefixUrl}/`);
  url.search = searchParams ?? '';
  const timeout = new AbortController();
  const timer = setTimeout(
    () => timeout.abort(new Error(`no response within ${HEADERS_TIMEOUT_MS / 1000} s`)),
    HEADERS_TIMEOUT_MS,
  );
  const started = performance.now();
  let status = 0;
  try {
    for (let redirects = 0; ; redirects++) {
      const response = await http.fetch(url, {
        method,
        headers: request.asStream === true ? { ...headers } : { ...headers, 'accept-encoding': 'gzip' },
        ...(typeof body === 'string' && { body }),
        signal: timeout.signal,
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

/**
 * GitLab redirects to its own address after a project has moved. Any other host is not trusted and must not receive the
 * token.
 */
function redirected(from: URL, location: string): URL {
  const to = new URL(location, from);
  if (to.origin === from.origin) return to;
  throw new Retry(`GitLab redirects to ${to.origin}; set GITLAB_URL to the address of GitLab itself`, {
    afterMs: NEEDS_PERSON_MS,
  });
}

async function read(response: Response, asStream: boolean): Promise<GitLabResponse> {
  const headers = Object.fromEntries(response.headers);
  if (asStream) return { body: response.body, headers, status: response.status };
  const isJson = headers['content-type']?.startsWith('application/json') === true;
  const bytes = await readBody(response, BODY_LIMITS);
  return { body: isJson ? JSON.parse(bytes.toString()) : bytes, headers, status: response.status };
}
