import { resolve } from 'node:path';
import { checkModulePath } from '../module/path.ts';
import type { PathMapping } from '../resolve/ownership.ts';
import { settings } from './settings.ts';

/**
 * What the values of settings mean: each function reads the text of one, and throws an Error that says what is wrong with it,
 * without the text itself, since it may be a secret.
 */

/** STORE. */
export function storeLocation(
  value: string,
): { kind: 'disk'; folder: string } | { kind: 's3'; bucket: string; prefix: string } {
  const folder = /^file:(?:\/\/(?=\/))?(.+)$/.exec(value)?.[1];
  if (folder !== undefined) return { kind: 'disk', folder: resolve(folder) };
  const [, bucket, prefix = ''] = /^s3:\/\/([^/]+)(?:\/(.*?)\/?)?$/.exec(value) ?? [];
  if (bucket !== undefined) return { kind: 's3', bucket, prefix };
  throw new Error(`must be ${settings.STORE.expects}`);
}

/** Any text. */
export function text(value: string): string {
  return value;
}

/** A token that is sent in a header. What cannot be sent in one, fetch repeats in its error, to be read by everybody (Headers.append in undici). */
export function headerToken(value: string): string {
  const token = value.trim();
  if (!/^[!-~]+$/.test(token))
    throw new Error('must be one token: a single line, without spaces or letters beyond ASCII');
  return token;
}

/** Entries separated by commas, without slashes around them. */
export function list(value: string): string[] {
  const items = value.split(',').map((item) => item.trim().replace(/^\/+|\/+$/g, ''));
  if (items.includes('')) throw new Error('has an empty entry: expected a list separated by commas');
  return items;
}

/** GitLab's signing tokens, separated by commas. */
export function signingTokens(value: string): string[] {
  const tokens = list(value);
  if (!tokens.every((token) => /^whsec_[A-Za-z0-9+/]+={0,2}$/.test(token))) {
    throw new Error('must be signing tokens as GitLab shows them: whsec_ and base64, separated by commas');
  }
  return tokens;
}

/** ADMIN_TOKEN. Not by `list`, which takes slashes off: a token in base64 may end with one. */
export function adminTokens(value: string): string[] {
  const tokens = value.split(',').map((token) => token.trim());
  if (!tokens.every((token) => /^[!-~]{16,}$/.test(token))) {
    throw new Error(
      'must be tokens of at least 16 characters, without spaces or letters beyond ASCII, separated by commas',
    );
  }
  return tokens;
}

/** A number greater than 0. */
export function positive(value: string): number {
  const number = Number(value);
  if (!Number.isFinite(number) || number <= 0) throw new Error('must be a number greater than 0');
  return number;
}

/** One of a few words. */
export function oneOf<const T extends string>(...values: readonly T[]): (value: string) => T {
  return (value) => {
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw new Error(`must be one of ${values.join(', ')}`);
    return found;
  };
}

/** An http or https URL, without its final slash. */
export function baseUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new Error('must be an http:// or https:// URL without a query');
  }
  if (url.username !== '' || url.password !== '') throw new Error('must not contain credentials');
  return url.origin + url.pathname.replace(/\/+$/, '');
}

/** The URL of a Redis. */
export function redis(value: string): string {
  if (!URL.canParse(value) || !/^rediss?:$/.test(new URL(value).protocol))
    throw new Error('must be a redis:// or rediss:// URL');
  return value;
}

/** LISTEN: no host means all interfaces. */
export function listenAddress(value: string): { host: string | undefined; port: number } {
  const [, host, port] = /^(?:\[([^\]]+)\]|[^:[\]]*):(\d{1,5})$/.exec(value) ?? [];
  if (port === undefined || Number(port) > 65_535) throw new Error('must be host:port, [address]:port or :port');
  return { host: (host ?? value.slice(0, value.lastIndexOf(':'))) || undefined, port: Number(port) };
}

/** What module paths may begin with. */
export function modulePrefix(value: string): string {
  const reason = checkModulePath(value);
  if (reason !== undefined) throw new Error(`must begin module paths, such as gitlab.example.com: ${reason}`);
  return value;
}

/** MODULE_MAP. */
export function moduleMap(value: string): PathMapping[] {
  return list(value).map((item) => {
    const [prefix = '', projectPrefix, ...rest] = item.split('=').map((part) => part.trim());
    const reason = checkModulePath(prefix);
    if (!projectPrefix || rest.length > 0)
      throw new Error('must be entries like go.corp.example=platform/go, separated by commas');
    if (reason !== undefined) throw new Error(`has a module prefix that is no module path: ${prefix} (${reason})`);
    return { modulePrefix: prefix, projectPrefix };
  });
}
