import { httpGet } from '../io/http-get.ts';
import { UpstreamFailed } from './module-source.ts';

/** How long to wait for another server, in milliseconds. */
export interface Patience {
  /** From the start to the response's headers, redirects included. */
  readonly headersMs: number;
  /** From one piece of the body to the next. */
  readonly idleMs: number;
}

/** What to get, and how. */
export interface DownloadOptions {
  readonly patience: Patience;
  /** `Authorization` header, sent to the origin of the URL only. */
  readonly authorization: string | undefined;
  /** Ends the download, also while the body arrives. */
  readonly signal: AbortSignal;
}

/** A response whose headers are there. Whoever gets it iterates `body` to its end, or calls `cancel`. */
export interface Download {
  /** The server that answered, for messages. */
  readonly host: string;
  readonly status: number;
  readonly headers: Headers;
  /** Rejects with UpstreamFailed if the connection breaks, the body is truncated or nothing comes for too long. */
  readonly body: AsyncIterable<Uint8Array>;
  cancel(): void;
}

/**
 * GETs a URL, following at most ten redirects and none from https to http, as the go command would.
 * Any status is a result; UpstreamFailed means that there is none.
 */
export async function download(url: string, options: DownloadOptions): Promise<Download> {
  const watch = new Watch(new URL(url).host, options.signal);
  try {
    const response = await watch.during(options.patience.headersMs, () => follow(url, options, watch));
    return {
      host: watch.host,
      status: response.status,
      headers: response.headers,
      body: read(response, watch, options.patience),
      cancel: () => watch.end(),
    };
  } catch (error) {
    watch.end();
    throw watch.failure('cannot be reached', error);
  }
}

/** The whole body, or UpstreamFailed if it is longer than `maxBytes`. */
export async function readAll(response: Download, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of limited(response, maxBytes)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The body, which fails with UpstreamFailed where it exceeds `maxBytes`. */
export async function* limited(response: Download, maxBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new UpstreamFailed(`${response.host} sent more than the ${maxBytes} bytes allowed for this`);
    yield chunk;
  }
}

/** Keeps the time of one download, and ends it when that is up or everything stops. */
class Watch {
  readonly host: string;
  readonly #controller = new AbortController();
  readonly #stop: AbortSignal;
  #timedOut = false;

  constructor(host: string, stop: AbortSignal) {
    this.host = host;
    this.#stop = stop;
    // By hand, because AbortSignal.any keeps every download that a long-lived signal was ever part of.
    stop.addEventListener('abort', this.end);
    if (stop.aborted) this.end();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async during<T>(milliseconds: number, work: () => Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      this.#timedOut = true;
      this.end();
    }, milliseconds);
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

  failure(what: string, error: unknown): UpstreamFailed {
    if (error instanceof UpstreamFailed) return error;
    const message = this.#timedOut ? 'took too long to answer' : `${what} (${reasonOf(error)})`;
    return new UpstreamFailed(`${this.host} ${message}`, { timedOut: this.#timedOut, cause: error });
  }
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

async function follow(url: string, options: DownloadOptions, watch: Watch): Promise<Response> {
  const { origin } = new URL(url);
  let target = new URL(url);
  for (let hops = 0; ; hops++) {
    const headers = headersFor(target.origin === origin ? options.authorization : undefined);
    const response = await getAgainIfLost(target, { signal: watch.signal, headers });
    const location = REDIRECTS.has(response.status) ? response.headers.get('location') : null;
    if (location === null) return response;
    await response.body?.cancel();
    if (hops === 10) throw new UpstreamFailed(`${watch.host} redirected more than 10 times`);
    target = redirected(target, location, watch.host);
  }
}

/** A server may close an idle connection at the moment we send on it; that says nothing about the server, so once more. */
async function getAgainIfLost(target: URL, init: Parameters<typeof httpGet>[1]): Promise<Response> {
  try {
    return await httpGet(target, init);
  } catch (error) {
    if (reasonOf(error) !== 'ECONNRESET') throw error;
    return await httpGet(target, init);
  }
}

function headersFor(authorization: string | undefined): Record<string, string> {
  // An encoded body would hide the length that proves it complete.
  const headers = { 'user-agent': 'modpress', 'accept-encoding': 'identity' };
  return authorization === undefined ? headers : { ...headers, authorization };
}

function redirected(from: URL, location: string, host: string): URL {
  if (!URL.canParse(location, from.href)) throw new UpstreamFailed(`${host} redirected to something that is no URL`);
  const target = new URL(location, from.href);
  const safe = target.protocol === 'https:' || (target.protocol === 'http:' && from.protocol === 'http:');
  if (!safe) throw new UpstreamFailed(`${host} redirected from ${from.protocol}// to ${target.protocol}//`);
  return target;
}

async function* read(response: Response, watch: Watch, { idleMs }: Patience): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  try {
    for (;;) {
      // The time runs only while we wait for the other side: a slow reader of ours is no fault of theirs.
      const piece = reader && (await watch.during(idleMs, () => reader.read()));
      if (piece?.value === undefined) return;
      yield piece.value;
    }
  } catch (error) {
    throw watch.failure('broke off in the middle', error);
  } finally {
    watch.end();
  }
}

/** The system's word for it where there is one: the full text may hold addresses, which go to the log only. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'AbortError') return 'stopped';
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code;
  }
  return 'no connection';
}
