import { Forbidden, Gone, NotFound, UpstreamFailed } from './module-source.ts';
import { download, readAll, type Download, type Patience } from './download.ts';
import { urlBelow, type GoproxyEntry, type ProxyEntry } from './goproxy.ts';

/** How upstream proxies are asked. */
export interface UpstreamParts {
  readonly entries: readonly GoproxyEntry[];
  /** 30 s to the headers and 30 s between pieces by default. */
  readonly patience?: Patience;
}

const PATIENCE: Patience = { headersMs: 30_000, idleMs: 30_000 };

/**
 * The list of upstream proxies, asked one after the other by the rules of GOPROXY (TryProxies in
 * cmd/go/internal/modfetch): 404 and 410 go on to the next, anything else that fails stops at `,` and goes on at `|`,
 * and of several failures one that is not a 404 is what the client hears.
 *
 * `direct` is a 404, so that the client goes to the repository itself. `off` ends the list; with nothing before it,
 * it is a 403, which no client goes past. After a proxy it leaves that proxy's 404 as it is: the go command looks
 * for a module under every prefix of a package path, and a 403 on one of them would fail the command.
 */
export class Upstream {
  readonly #entries: readonly GoproxyEntry[];
  readonly #patience: Patience;
  readonly #stop = new AbortController();

  constructor(parts: UpstreamParts) {
    this.#entries = parts.entries;
    this.#patience = parts.patience ?? PATIENCE;
  }

  /**
   * GETs a path below the first proxy that has it. `path` is not percent-encoded yet and has no leading `/`.
   *
   * `use` gets a response of status 200 and has to finish with it; its UpstreamFailed counts as that proxy's.
   * Throws NotFound, Gone, Forbidden or UpstreamFailed.
   */
  async get<T>(path: string, use: (response: Download) => Promise<T>): Promise<T> {
    let failure: NotFound | UpstreamFailed | Forbidden | undefined;
    for (const entry of this.#entries) {
      if (entry.kind === 'off') break;
      if (entry.kind === 'direct') throw goDirect(failure);
      try {
        return await this.getFrom(entry, path, use);
      } catch (error) {
        if (!(error instanceof NotFound || error instanceof UpstreamFailed || error instanceof Forbidden)) throw error;
        if (failure === undefined || failure instanceof NotFound || !(error instanceof NotFound)) failure = error;
        if (!(error instanceof NotFound) && entry.onError === 'stop') break;
      }
    }
    throw failure ?? new Forbidden('modules from outside are switched off on this proxy (UPSTREAM=off)');
  }

  /** The same, of one server. */
  async getFrom<T>(
    server: Pick<ProxyEntry, 'url' | 'authorization'>,
    path: string,
    use: (response: Download) => Promise<T>,
  ): Promise<T> {
    const response = await download(urlBelow(server.url, path), {
      patience: this.#patience,
      authorization: server.authorization,
      signal: this.#stop.signal,
    });
    try {
      if (response.status !== 200) throw await failureOf(response);
      return await use(response);
    } catch (error) {
      response.cancel();
      throw error;
    }
  }

  /** Ends every request that is under way. */
  close(): void {
    this.#stop.abort();
  }
}

function goDirect(failure: NotFound | UpstreamFailed | Forbidden | undefined): NotFound {
  const message = failure instanceof NotFound ? failure.message : 'not available through this proxy';
  const cause = failure instanceof NotFound ? failure.cause : failure;
  return new NotFound(`${message}\nTo fetch it from its repository: go env -w GOPROXY=<this proxy>,direct`, { cause });
}

async function failureOf(response: Download): Promise<NotFound | UpstreamFailed | Forbidden> {
  const text = await explanation(response);
  switch (response.status) {
    case 404:
      return new NotFound(text === '' ? `not found by ${response.host}` : text);
    case 410:
      return new Gone(text === '' ? `gone, according to ${response.host}` : text);
    case 403:
      return new Forbidden(`${response.host} refuses it${text === '' ? '' : `: ${text}`}`);
    default: {
      const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
      return new UpstreamFailed(`${response.host} answered ${response.status}${text === '' ? '' : `: ${text}`}`, {
        timedOut: response.status === 504,
        ...(Number.isSafeInteger(retryAfter) && { retryAfter: Math.min(retryAfter, 3600) }),
      });
    }
  }
}

/** What a response says in plain text, as much of it as the go command would show: some lines, up to a blank one. */
async function explanation(response: Download): Promise<string> {
  if (!/^text\/plain(?:;|$)/i.test(response.headers.get('content-type') ?? '')) return '';
  try {
    const text = (await readAll(response, 65_536)).toString('utf8').replace(/\r\n/g, '\n').trim();
    const [paragraph = ''] = text.split('\n\n', 1);
    return paragraph
      .replace(/[^\P{Cc}\n\t]/gu, '')
      .split('\n')
      .slice(0, 6)
      .join('\n')
      .slice(0, 500);
  } catch (error) {
    // The status is the answer; its explanation is a courtesy that may fail.
    if (error instanceof UpstreamFailed) return '';
    throw error;
  }
}
