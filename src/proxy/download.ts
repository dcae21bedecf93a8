import { httpGet } from '../io/http-get.ts';
import { UpstreamFailed } from './module-source.ts';

/** How long a download waits for the other server, in milliseconds. */
export interface DownloadTimeouts {
  /** From the start to the headers of the response, redirects included. */
  readonly headersMs: number;
  /** From one chunk of the body to the next. */
  readonly idleMs: number;
}

/** How to make a download. */
export interface DownloadOptions {
  readonly timeouts: DownloadTimeouts;
  /** `Authorization` header. It is sent to the origin of the URL only, never to another origin after a redirect. */
  readonly authorization: string | undefined;
  /** Aborts the download, also while the body arrives. */
  readonly signal: AbortSignal;
}

/** A response whose headers have arrived. The caller reads `body` to its end, or calls `cancel`. */
export interface Download {
  /** The server that sent the response, for messages. */
  readonly host: string;
  readonly status: number;
  readonly headers: Headers;
  /** Rejects with UpstreamFailed if the connection breaks, the body is truncated, or no data arrives for `idleMs`. */
  readonly body: AsyncIterable<Uint8Array>;
  cancel(): void;
}

/**
 * Sends a GET request for a URL. Follows at most ten redirects, and none from https to http, as the go command does.
 * A response of any status is a result. Rejects with UpstreamFailed if there is no response.
 */
export async function download(url: string, options: DownloadOptions): Promise<Download> {
  const guard = new TimeoutGuard(new URL(url).host, options.signal);
  try {
    const response = await guard.withTimeout(options.timeouts.headersMs, () => follow(url, options, guard));
    return {
      host: guard.host,
      status: response.status,
      headers: response.headers,
      body: read(response, guard, options.timeouts),
      cancel: () => guard.end(),
    };
  } catch (error) {
    guard.end();
    throw guard.failure('cannot be reached', error);
  }
}

/** Reads the whole body. Rejects with UpstreamFailed if the body is longer than `maxBytes`. */
export async function readAll(response: Download, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of limitBody(response, maxBytes)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Yields the chunks of the body. Fails with UpstreamFailed as soon as the body exceeds `maxBytes`. */
export async function* limitBody(response: Download, maxBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new UpstreamFailed(`${response.host} sent more than ${maxBytes} bytes, the limit for this file`);
    yield chunk;
  }
}

/** The time-outs of one download. Aborts the download when a time-out expires or the caller's signal is aborted. */
class TimeoutGuard {
  readonly host: string;
  readonly #controller = new AbortController();
  readonly #stop: AbortSignal;
  #timedOut = false;

  constructor(host: string, stop: AbortSignal) {
    this.host = host;
    this.#stop = stop;
    // Not AbortSignal.any: a signal that lives as long as the process would keep every download in memory.
    stop.addEventListener('abort', this.end);
    if (stop.aborted) this.end();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async withTimeout<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      this.#timedOut = true;
      this.end();
    }, timeoutMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  readonly end = (): void => {
    this.#stop.removeEventListener('abort', this.end);
    this.#controller.abort();
  };

  failure(problem: string, error: unknown): UpstreamFailed {
    if (error instanceof UpstreamFailed) return error;
    const message = this.#timedOut ? 'took too long to respond' : `${problem} (${reasonOf(error)})`;
    return new UpstreamFailed(`${this.host} ${message}`, { timedOut: this.#timedOut, cause: error });
  }
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MAX_REDIRECTS = 10;

async function follow(url: string, options: DownloadOptions, guard: TimeoutGuard): Promise<Response> {
  const { origin } = new URL(url);
  let target = new URL(url);
  for (let redirects = 0; ; redirects++) {
    const headers = headersFor(target.origin === origin ? options.authorization : undefined);
    const response = await getAgainIfReset(target, { signal: guard.signal, headers });
    const location = REDIRECTS.has(response.status) ? response.headers.get('location') : null;
    if (location === null) return response;
    await response.body?.cancel();
    if (redirects === MAX_REDIRECTS)
      throw new UpstreamFailed(`${guard.host} redirected more than ${MAX_REDIRECTS} times`);
    target = redirected(target, location, guard.host);
  }
}

/**
 * Sends the request, and sends it once more if the connection was reset. A server may close an idle connection just as
 * a request is sent on it. That does not mean that the server is down.
 */
async function getAgainIfReset(target: URL, init: Parameters<typeof httpGet>[1]): Promise<Response> {
  try {
    return await httpGet(target, init);
  } catch (error) {
    if (codeOf(error) !== 'ECONNRESET') throw error;
    return await httpGet(target, init);
  }
}

function headersFor(authorization: string | undefined): Record<string, string> {
  // With a content encoding, Content-Length would not prove that the body is complete.
  const headers = { 'user-agent': 'modpress', 'accept-encoding': 'identity' };
  return authorization === undefined ? headers : { ...headers, authorization };
}

function redirected(from: URL, location: string, host: string): URL {
  if (!URL.canParse(location, from.href)) throw new UpstreamFailed(`${host} redirected to an invalid URL`);
  const target = new URL(location, from.href);
  const safe = target.protocol === 'https:' || (target.protocol === 'http:' && from.protocol === 'http:');
  if (!safe)
    throw new UpstreamFailed(
      `${host} redirected from ${from.protocol}// to ${target.protocol}//, which is not allowed`,
    );
  return target;
}

async function* read(
  response: Response,
  guard: TimeoutGuard,
  { idleMs }: DownloadTimeouts,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  try {
    for (;;) {
      // The timer runs only while we wait for the server. A slow reader on our side is not the server's fault.
      const chunk = reader && (await guard.withTimeout(idleMs, () => reader.read()));
      if (chunk?.value === undefined) return;
      yield chunk.value;
    }
  } catch (error) {
    throw guard.failure('broke the connection in the middle of the response', error);
  } finally {
    guard.end();
  }
}

/**
 * The reason of a failure as clients may see it: an error code. The full text may contain addresses, which belong in
 * the log only.
 */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'AbortError') return 'aborted';
  return codeOf(error) ?? 'no connection';
}

/** The error code of the system, such as ECONNRESET, if the error or one of its causes has one. */
function codeOf(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code;
  }
  return undefined;
}
