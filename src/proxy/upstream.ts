import { setMaxListeners } from 'node:events';
import type { MatchesHost } from '../http-client/host-list.ts';
import type { HttpClient } from '../http-client/http-client.ts';
import { retryAfterSeconds } from '../http-client/retry-after.ts';
import type { Client } from './client.ts';
import { Forbidden, Gone, NotFound, UpstreamFailed } from './module-source.ts';
import { download, readAll, type Download, type DownloadTimeouts } from './download.ts';
import { urlBelow, type GoproxyEntry, type ProxyEntry } from './goproxy.ts';
import { nextVia } from './via.ts';

/** The dependencies of Upstream. */
export interface UpstreamParts {
  readonly http: HttpClient;
  readonly entries: readonly GoproxyEntry[];
  readonly timeouts: DownloadTimeouts;
  /** The hosts to which upstreams may redirect although their addresses do not belong to the internet. */
  readonly privateHosts: MatchesHost;
  /** The name of this service in `Via` headers (see via.ts). */
  readonly viaName: string;
}

/** The longest Retry-After of an upstream proxy that modpress passes on to clients. */
const MAX_RETRY_AFTER_SECONDS = 3600;
/** The go command shows at most eight lines of an error text, and modpress needs two of them. */
const MAX_EXPLANATION_LINES = 6;
const MAX_EXPLANATION_CHARACTERS = 500;
const MAX_ERROR_BODY_BYTES = 65_536;

/** The error message for clients if UPSTREAM=off. */
export const UPSTREAM_IS_OFF = 'external modules are switched off on this proxy (UPSTREAM=off)';
/** The advice to clients if the list ends with `direct`. */
export const GO_DIRECT = 'To fetch the module from its repository: go env -w GOPROXY=<this proxy>,direct';

/**
 * The list of upstream proxies. Tries them in turn by the rules of GOPROXY (TryProxies in cmd/go/internal/modfetch).
 * After a 404 or 410, tries the next proxy. After any other failure, tries the next proxy only if the separator is `|`.
 * If all proxies fail, the client gets the last failure that is not a 404 or 410, or else the last failure.
 *
 * An entry `direct` leads to a 404, so that the client uses the repository itself. An entry `off` ends the list. If
 * `off` is the first entry, the client gets a 403 and tries no other proxy. If `off` follows a proxy, the client gets
 * the failure of that proxy. A 403 would be wrong there: the go command requests every prefix of a package path as a
 * module, and fails after a single 403.
 */
export class Upstream {
  readonly #parts: UpstreamParts;
  readonly #stop = new AbortController();

  constructor(parts: UpstreamParts) {
    this.#parts = parts;
    // Each running request adds a listener, and Node would warn from the eleventh listener on.
    setMaxListeners(0, this.#stop.signal);
  }

  /**
   * Requests a path from the proxies of the list. `path` has no leading `/` and is not percent-encoded. The signal of
   * `client` aborts the request, which then rejects with its reason.
   *
   * Calls `use` with a response of status 200. `use` must ensure that the response is read to its end. If `use` throws
   * UpstreamFailed, that proxy counts as failed. Rejects with NotFound, Gone, Forbidden or UpstreamFailed.
   */
  async get<T>(path: string, client: Client, use: (response: Download) => Promise<T>): Promise<T> {
    let failure: NotFound | UpstreamFailed | Forbidden | undefined;
    for (const entry of this.#parts.entries) {
      if (entry.kind === 'off') break;
      if (entry.kind === 'direct') throw goDirect(failure);
      try {
        return await this.getFrom(entry, path, client, use);
      } catch (error) {
        if (!(error instanceof NotFound || error instanceof UpstreamFailed || error instanceof Forbidden)) throw error;
        if (failure === undefined || failure instanceof NotFound || !(error instanceof NotFound)) failure = error;
        if (!(error instanceof NotFound) && entry.onError === 'stop') break;
      }
    }
    throw failure ?? new Forbidden(UPSTREAM_IS_OFF);
  }

  /** Requests a path from a single server. The other parameters and the errors are the same as for `get`. */
  async getFrom<T>(
    server: Pick<ProxyEntry, 'url' | 'authorization'>,
    path: string,
    client: Client,
    use: (response: Download) => Promise<T>,
  ): Promise<T> {
    const { http, timeouts, privateHosts, viaName } = this.#parts;
    let response: Download | undefined;
    try {
      response = await download(urlBelow(server.url, path), {
        http,
        timeouts,
        privateHosts,
        authorization: server.authorization,
        via: nextVia(client.via, viaName),
        signals: [this.#stop.signal, ...(client.signal ? [client.signal] : [])],
      });
      if (response.status !== 200) throw await failureOf(response, path);
      return await use(response);
    } catch (error) {
      response?.cancel();
      client.signal?.throwIfAborted();
      throw error;
    }
  }

  /** Aborts every request in progress. */
  close(): void {
    this.#stop.abort();
  }
}

function goDirect(failure: NotFound | UpstreamFailed | Forbidden | undefined): NotFound {
  const message = failure instanceof NotFound ? failure.message : 'not available through this proxy';
  const cause = failure instanceof NotFound ? failure.cause : failure;
  return new NotFound(`${message}\n${GO_DIRECT}`, { cause });
}

async function failureOf(response: Download, path: string): Promise<NotFound | UpstreamFailed | Forbidden> {
  const text = await explanation(response);
  switch (response.status) {
    case 404:
      return new NotFound(text === '' ? `${response.host} does not have ${path}` : text);
    case 410:
      return new Gone(text === '' ? `${response.host} has withdrawn ${path}` : text);
    case 403:
      return new Forbidden(`${response.host} refused the request for ${path}${text === '' ? '' : `: ${text}`}`);
    default: {
      const retryAfter = retryAfterSeconds(response.headers);
      return new UpstreamFailed(`${response.host} answered ${response.status}${text === '' ? '' : `: ${text}`}`, {
        timedOut: response.status === 504,
        ...(retryAfter !== undefined && { retryAfter: Math.min(retryAfter, MAX_RETRY_AFTER_SECONDS) }),
      });
    }
  }
}

/**
 * Returns the first paragraph of a plain-text error, because the go command shows no more. Returns an empty string for
 * any other error.
 */
async function explanation(response: Download): Promise<string> {
  if (!/^text\/plain(?:;|$)/i.test(response.headers.get('content-type') ?? '')) return '';
  try {
    const text = (await readAll(response, MAX_ERROR_BODY_BYTES)).toString('utf8').replace(/\r\n/g, '\n').trim();
    const [paragraph = ''] = text.split('\n\n', 1);
    return paragraph
      .replace(/[^\P{Cc}\n\t]/gu, '')
      .split('\n')
      .slice(0, MAX_EXPLANATION_LINES)
      .join('\n')
      .slice(0, MAX_EXPLANATION_CHARACTERS);
  } catch (error) {
    // The status alone determines the error, so a missing text does no harm.
    if (error instanceof UpstreamFailed) return '';
    throw error;
  }
}
