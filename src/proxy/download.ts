import { AddressNotAllowed } from '../http-client/allowed-address.ts';
import { ForwardProxyFailed } from '../http-client/forward-proxy.ts';
import { BodyTooSlow } from '../http-client/minimum-rate.ts';
import { UntrustedCertificate } from '../http-client/untrusted-certificate.ts';
import { codeOf, follow, type RedirectOptions } from './follow-redirects.ts';
import { UpstreamFailed } from './module-source.ts';

/** The timeouts of a download, in milliseconds. */
export interface DownloadTimeouts {
  /** The maximum time from the start to the headers of the final response, redirects included. */
  readonly headersMs: number;
  /** The maximum time between two chunks of the body. */
  readonly idleMs: number;
  /** The maximum time from the headers to the end of a body that is read into memory. All its clients wait for it. */
  readonly smallBodyMs: number;
}

/** The options of `download`. */
export interface DownloadOptions extends Omit<RedirectOptions, 'signal'> {
  readonly timeouts: DownloadTimeouts;
  /** Each of them aborts the download, even while the body arrives. */
  readonly signals: readonly AbortSignal[];
}

/** A response whose headers have arrived. The caller must read `body` to its end or call `cancel`. */
export interface Download {
  /** The host of the requested URL, for messages. */
  readonly host: string;
  readonly status: number;
  readonly headers: Headers;
  /**
   * Reading fails with UpstreamFailed if the connection breaks, the body is truncated, no data arrives for `idleMs`, or
   * the data arrives more slowly than HttpClient allows.
   */
  readonly body: AsyncIterable<Uint8Array>;
  /** Runs `work`, which reads the body. Aborts the download, so that `work` fails, after `smallBodyMs`. */
  withDeadline<T>(work: () => Promise<T>): Promise<T>;
  cancel(): void;
}

/**
 * Sends a GET request and follows redirects. Resolves to the response, whatever its status. Rejects with UpstreamFailed
 * if no response arrives or a redirect is not allowed.
 */
export async function download(url: string, options: DownloadOptions): Promise<Download> {
  const guard = new TimeoutGuard(new URL(url).host, options.signals);
  try {
    const response = await guard.withTimeout(options.timeouts.headersMs, () =>
      follow(url, { ...options, signal: guard.signal }),
    );
    return {
      host: guard.host,
      status: response.status,
      headers: response.headers,
      body: read(response, guard, options.timeouts),
      withDeadline: (work) => guard.withTimeout(options.timeouts.smallBodyMs, work),
      cancel: () => guard.end(),
    };
  } catch (error) {
    guard.end();
    throw guard.failure('cannot be reached', error);
  }
}

/**
 * Reads the whole body into memory. Rejects with UpstreamFailed if the body is longer than `maxBytes`, or does not end
 * within `smallBodyMs`.
 */
export async function readAll(response: Download, maxBytes: number): Promise<Buffer> {
  return await response.withDeadline(async () => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of limitBody(response, maxBytes)) chunks.push(chunk);
    return Buffer.concat(chunks);
  });
}

/**
 * Reads the whole body into memory and checks it. `problemOf` returns what is wrong with the body, and `subject` is
 * what was requested, both as words for the error. Rejects with UpstreamFailed if the body is wrong or longer than
 * `maxBytes`.
 */
export async function readValid(
  response: Download,
  maxBytes: number,
  problemOf: (body: Buffer) => string | undefined,
  subject: string,
): Promise<Buffer> {
  const body = await readAll(response, maxBytes);
  const problem = problemOf(body);
  if (problem !== undefined) throw new UpstreamFailed(`${response.host} sent ${problem} for ${subject}`);
  return body;
}

/** Yields the chunks of the body. Throws UpstreamFailed as soon as the body exceeds `maxBytes`. */
export async function* limitBody(response: Download, maxBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new UpstreamFailed(`${response.host} sent more than ${maxBytes} bytes, the limit for this file`);
    yield chunk;
  }
}

/** Aborts one download when a timeout expires or a signal of the caller aborts. */
class TimeoutGuard {
  readonly host: string;
  readonly #controller = new AbortController();
  readonly #stops: readonly AbortSignal[];
  #timedOut = false;

  constructor(host: string, stops: readonly AbortSignal[]) {
    this.host = host;
    this.#stops = stops;
    // AbortSignal.any is not used, because a signal that lives as long as the process would keep every download in
    // memory.
    for (const stop of stops) stop.addEventListener('abort', this.end);
    if (stops.some(({ aborted }) => aborted)) this.end();
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
    for (const stop of this.#stops) stop.removeEventListener('abort', this.end);
    this.#controller.abort();
  };

  failure(problem: string, error: unknown): UpstreamFailed {
    if (error instanceof UpstreamFailed) return error;
    if (error instanceof BodyTooSlow)
      return new UpstreamFailed(`${this.host} sends too slowly (${error.message})`, { timedOut: true, cause: error });
    const message = this.#timedOut ? 'took too long to respond' : `${problem} (${reasonOf(error)})`;
    return new UpstreamFailed(`${this.host} ${message}`, { timedOut: this.#timedOut, cause: error });
  }
}

async function* read(
  response: Response,
  guard: TimeoutGuard,
  { idleMs }: DownloadTimeouts,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  try {
    for (;;) {
      // The timer runs only while modpress waits for the server. A slow client must not cause a timeout.
      const chunk = reader && (await guard.withTimeout(idleMs, () => reader.read()));
      if (chunk?.value === undefined) return;
      yield chunk.value;
    }
  } catch (error) {
    throw guard.failure('closed the connection before the end of the response', error);
  } finally {
    guard.end();
  }
}

/**
 * Returns the part of an error that clients may see: its error code, or the message of an error that an operator has to
 * mend. Any other message may contain addresses, so it appears only in the log.
 */
function reasonOf(error: unknown): string {
  if (
    error instanceof UntrustedCertificate ||
    error instanceof ForwardProxyFailed ||
    error instanceof AddressNotAllowed
  )
    return error.message;
  if (error instanceof Error && error.name === 'AbortError') return 'aborted';
  return codeOf(error) ?? 'no connection';
}
