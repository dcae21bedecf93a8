import { resolve } from 'node:path';
import { hasInvalidEntry, parseHostList, type MatchesHost } from '../http-client/host-list.ts';
import { checkModulePath } from '../module/path.ts';
import type { PathMapping } from '../resolve/ownership.ts';
import { settings } from './settings.ts';

/**
 * The parsers of setting values. Each throws an Error that says what is wrong with the value. The error does not
 * contain secrets.
 */

/** Parses STORE. Makes the path of a folder absolute. */
export function storeLocation(
  value: string,
): { kind: 'disk'; folder: string } | { kind: 's3'; bucket: string; prefix: string } {
  const folder = /^file:(?:\/\/(?=\/))?(.+)$/.exec(value)?.[1];
  if (folder !== undefined) return { kind: 'disk', folder: resolve(folder) };
  const [, bucket, prefix = ''] = /^s3:\/\/([^/]+)(?:\/(.*?)\/?)?$/.exec(value) ?? [];
  if (bucket !== undefined) return { kind: 's3', bucket, prefix };
  throw new Error(`must be ${settings.STORE.expects}`);
}

/** Accepts any text. */
export function anyText(value: string): string {
  return value;
}

/**
 * Parses a token that is sent in a header. The check keeps the token secret: for an invalid header, the error of fetch
 * contains the value (Headers.append in undici), and other people may read this error.
 */
export function headerToken(value: string): string {
  if (!/^[!-~]+$/.test(value)) throw new Error('must be one token: a single line of ASCII characters without spaces');
  return value;
}

/**
 * Parses names and paths separated by commas, and removes the slashes around each. Not for secrets: see `secretList`.
 */
export function list(value: string): string[] {
  const items = value.split(',').map((item) => item.trim().replace(/^\/+|(?<!\/)\/+$/g, ''));
  if (items.includes('')) throw new Error('has an empty entry: expected a list separated by commas');
  return items;
}

/**
 * Makes a parser of secrets that are separated by commas. Each secret stays exactly as it is set, except for spaces
 * around a comma: HTTP removes them from a header too. `pattern` matches a valid secret, and `expected` describes it.
 */
function secretList(pattern: RegExp, expected: string): (value: string) => string[] {
  return (value) => {
    const secrets = value.split(',').map((item) => item.trim());
    if (!secrets.every((item) => pattern.test(item))) throw new Error(`must be ${expected}, separated by commas`);
    return secrets;
  };
}

/** Parses WEBHOOK_TOKEN. GitLab accepts every secret token of one line. */
export const secretTokens = secretList(/^\P{Cc}+$/u, 'secret tokens of one line each');

/** Parses the signing tokens of GitLab. */
export const signingTokens = secretList(
  /^whsec_[A-Za-z0-9+/]+={0,2}$/,
  'signing tokens as GitLab shows them (whsec_ and base64)',
);

/** Parses ADMIN_TOKEN. */
export const adminTokens = secretList(/^[!-~]{16,}$/, 'tokens of at least 16 ASCII characters without spaces');

/** Parses a number greater than 0. */
export function positiveNumber(value: string): number {
  const number = Number(value);
  if (!Number.isFinite(number) || number <= 0) throw new Error('must be a number greater than 0');
  return number;
}

/** Parses a timeout in seconds. A timer cannot be longer than 24.8 days, and a client does not wait for an hour. */
export function timeoutSeconds(value: string): number {
  const seconds = positiveNumber(value);
  if (seconds > 3600) throw new Error('must be at most 3600 seconds');
  return seconds;
}

/** Returns a parser that accepts only these words. */
export function oneOf<const T extends string>(...words: readonly T[]): (value: string) => T {
  return (value) => {
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) throw new Error(`must be one of ${words.join(', ')}`);
    return word;
  };
}

/** Parses an http or https URL, and removes its trailing slashes. */
export function baseUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new Error('must be an http:// or https:// URL without a query');
  }
  if (url.username !== '' || url.password !== '') throw new Error('must not contain credentials');
  return url.origin + url.pathname.replace(/(?<!\/)\/+$/, '');
}

/** Parses a list of hosts, in the syntax of NO_PROXY. */
export function hostList(value: string): MatchesHost {
  if (hasInvalidEntry(value)) throw new Error('has an entry that is neither a host name, an address nor a network');
  return parseHostList(value);
}

/** Parses LISTEN. If `host` is undefined, the service listens on all interfaces. */
export function listenAddress(value: string): { host: string | undefined; port: number } {
  const [, host, port] = /^(?:\[([^\]]+)\]|[^:[\]]*):(\d{1,5})$/.exec(value) ?? [];
  if (port === undefined || Number(port) > 65_535) throw new Error('must be host:port, [address]:port or :port');
  return { host: (host ?? value.slice(0, value.lastIndexOf(':'))) || undefined, port: Number(port) };
}

/** Parses MODULE_PREFIX. */
export function modulePrefix(value: string): string {
  const problem = checkModulePath(value);
  if (problem !== undefined)
    throw new Error(`must be the beginning of module paths, such as gitlab.example.com: ${problem}`);
  return value;
}

/** Parses MODULE_MAP. */
export function moduleMap(value: string): PathMapping[] {
  return list(value).map((item) => {
    const [prefix = '', projectPrefix, ...rest] = item.split('=').map((part) => part.trim());
    const problem = checkModulePath(prefix);
    if (!projectPrefix || rest.length > 0)
      throw new Error('must be entries like go.corp.example=platform/go, separated by commas');
    if (problem !== undefined) throw new Error(`has a module prefix that is not a module path: ${prefix} (${problem})`);
    return { modulePrefix: prefix, projectPrefix };
  });
}
