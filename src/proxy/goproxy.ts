/**
 * One entry of a GOPROXY list. A proxy that knows nothing of a module (404, 410) passes the question on to the next
 * entry; one that fails does so only if `onError` says `continue`, which is the separator `|`.
 */
export type GoproxyEntry = ProxyEntry | { readonly kind: 'direct' } | { readonly kind: 'off' };

/** A proxy over HTTP. */
export interface ProxyEntry {
  readonly kind: 'proxy';
  /** Base URL without credentials and without a final `/`. */
  readonly url: string;
  /** `Authorization` header made of the URL's credentials. */
  readonly authorization: string | undefined;
  readonly onError: 'stop' | 'continue';
}

/**
 * Parses GOPROXY syntax as the go command does (proxyList in cmd/go/internal/modfetch): empty entries are skipped,
 * nothing after `direct` or `off` counts, and `example.com` means `https://example.com`.
 *
 * Throws an Error whose message says what is wrong, without any credentials.
 */
export function parseGoproxy(text: string): GoproxyEntry[] {
  const entries: GoproxyEntry[] = [];
  for (const [, item = '', separator = ''] of text.matchAll(/([^,|]*)([,|]|$)/g)) {
    const word = item.trim();
    if (word === '') continue;
    if (word === 'direct' || word === 'off') {
      entries.push({ kind: word });
      break;
    }
    entries.push({ kind: 'proxy', ...parseProxyUrl(word), onError: separator === '|' ? 'continue' : 'stop' });
  }
  if (entries.length === 0) throw new Error('names no proxy; expected URLs separated by , or |, or direct, or off');
  return entries;
}

/** The URL of a path, not percent-encoded and without a leading `/`, below a proxy's URL. */
export function urlBelow(base: string, path: string): string {
  return `${base}/${encodeURIComponent(path).replaceAll('%2F', '/').replaceAll('%40', '@')}`;
}

/** The parts of an entry that stem from its URL. Throws as `parseGoproxy` does. */
export function parseProxyUrl(word: string): Pick<ProxyEntry, 'url' | 'authorization'> {
  const text = /[.:/]/.test(word) && !word.includes(':/') && !word.startsWith('/') ? `https://${word}` : word;
  if (!URL.canParse(text)) throw new Error('has an entry that is neither a URL nor direct nor off');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new Error(`has an entry with ${url.protocol}// in it; only https:// and http:// are supported`);
  }
  if (url.search !== '' || url.hash !== '') throw new Error(`has an entry with a query or a fragment (${url.host})`);
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return {
    url: url.origin + url.pathname.replace(/\/+$/, ''),
    authorization: credentials === ':' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
  };
}
