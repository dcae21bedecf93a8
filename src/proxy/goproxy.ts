/**
 * An entry of a GOPROXY list. After a 404 or 410 from a proxy, modpress tries the next entry. After any other failure,
 * it tries the next entry only if `onError` is `continue`, which represents the separator `|`.
 */
export type GoproxyEntry = ProxyEntry | { readonly kind: 'direct' } | { readonly kind: 'off' };

/** A proxy with an http or https URL. */
export interface ProxyEntry {
  readonly kind: 'proxy';
  /** The base URL, without credentials and without a final `/`. */
  readonly url: string;
  /** The `Authorization` header made from the credentials in the URL; undefined if the URL has none. */
  readonly authorization: string | undefined;
  readonly onError: 'stop' | 'continue';
}

/**
 * Parses GOPROXY syntax as the go command does (proxyList in cmd/go/internal/modfetch). Skips empty entries, ignores
 * everything after `direct` or `off`, and reads `example.com` as `https://example.com`.
 *
 * Throws an Error if the text is invalid. The message states the reason and contains no credentials.
 */
export function parseGoproxy(text: string): GoproxyEntry[] {
  const entries: GoproxyEntry[] = [];
  for (const [, item = '', separator = ''] of text.matchAll(/([^,|]+)([,|]?)/g)) {
    const word = item.trim();
    if (word === '') continue;
    if (word === 'direct' || word === 'off') {
      entries.push({ kind: word });
      break;
    }
    entries.push({ kind: 'proxy', ...parseProxyUrl(word), onError: separator === '|' ? 'continue' : 'stop' });
  }
  if (entries.length === 0) throw new Error('contains no entry; expected URLs separated by , or |, or direct, or off');
  return entries;
}

/** Returns the URL of a path below the URL of a proxy. `path` has no leading `/` and is not percent-encoded. */
export function urlBelow(base: string, path: string): string {
  return `${base}/${encodeURIComponent(path).replaceAll('%2F', '/').replaceAll('%40', '@')}`;
}

/** Parses the URL of a proxy, with or without credentials. Throws an Error as `parseGoproxy` does. */
export function parseProxyUrl(word: string): Pick<ProxyEntry, 'url' | 'authorization'> {
  const text = /[.:/]/.test(word) && !word.includes(':/') && !word.startsWith('/') ? `https://${word}` : word;
  if (!URL.canParse(text)) throw new Error('has an entry that is neither a URL nor direct nor off');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new Error(`has an entry with ${url.protocol}//, but only https:// and http:// are supported`);
  }
  if (url.search !== '' || url.hash !== '') throw new Error(`has an entry with a query or a fragment (${url.host})`);
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return {
    url: url.origin + url.pathname.replace(/(?<!\/)\/+$/, ''),
    authorization: credentials === ':' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
  };
}
