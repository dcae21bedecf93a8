import { isLetter } from './unicode.ts';

/**
 * Checks module paths and file paths by the rules of golang.org/x/mod/module. Each check returns the reason why a path
 * is invalid, or undefined if the path is valid.
 */

declare const modulePathBrand: unique symbol;

/** A module path that has passed `checkModulePath`. */
export type ModulePath = string & { readonly [modulePathBrand]: true };

/** The two parts of a module path, which equals `prefix + major`. `major` is empty, `/vN` or, for gopkg.in, `.vN`. */
export interface SplitPath {
  readonly prefix: string;
  readonly major: string;
}

/** Parses an untrusted module path. Returns the path, or the reason why the text is not a module path. */
export function parseModulePath(text: string): ModulePath | { reason: string } {
  const reason = checkModulePath(text);
  return reason === undefined ? (text as ModulePath) : { reason };
}

/** Returns why the text is not a module path, or undefined if it is a module path (module.CheckPath). */
export function checkModulePath(path: string): string | undefined {
  const reason = checkPath(path, 'module');
  if (reason !== undefined) return reason;
  const first = path.split('/', 1)[0] ?? '';
  if (!first.includes('.')) return 'missing dot in first path element';
  const invalid = /[^a-z0-9.-]/.exec(first);
  if (invalid) return `invalid character ${JSON.stringify(invalid[0])} in first path element`;
  if (splitPathVersion(path) === undefined) return 'invalid version suffix';
  return undefined;
}

/**
 * Returns why the path is not allowed for a file in a module zip, or undefined if it is allowed (module.CheckFilePath).
 */
export function checkFilePath(path: string): string | undefined {
  return checkPath(path, 'file');
}

/**
 * Splits a module path into its prefix and its major version suffix (module.SplitPathVersion). Returns undefined if a
 * gopkg.in path has no suffix. Also returns undefined if the last element looks like a version but is not a valid
 * suffix: `/v1`, `/v02`, `/v1.2`.
 */
export function splitPathVersion(path: string): SplitPath | undefined {
  if (path.startsWith('gopkg.in/')) {
    const match = /^(.+)(\.v(?:0|[1-9][0-9]*(?:-unstable)?))$/s.exec(path);
    return match ? { prefix: match[1] ?? '', major: match[2] ?? '' } : undefined;
  }
  const match = /^(.*)(\/v[0-9.]+)$/s.exec(path);
  if (!match) return { prefix: path, major: '' };
  const [, prefix = '', major = ''] = match;
  return /^\/v[1-9][0-9]*$/.test(major) && major !== '/v1' ? { prefix, major } : undefined;
}

/** Escapes a module path for the proxy protocol and the store. An upper-case `X` becomes `!x`. */
export function escapePath(path: ModulePath): string {
  return escapeUpperCase(path);
}

/**
 * Unescapes a module path from a URL after percent-decoding. Returns the reason if the text is not an escaped module
 * path.
 */
export function unescapePath(escaped: string): ModulePath | { reason: string } {
  const path = unescapeUpperCase(escaped);
  return path === undefined
    ? { reason: 'invalid escaping: an upper-case X must be written as !x' }
    : parseModulePath(path);
}

/** Replaces each upper-case `X` by `!x`, as module.EscapePath and module.EscapeVersion do. */
export function escapeUpperCase(text: string): string {
  return text.replace(/[A-Z]/g, (char) => `!${char.toLowerCase()}`);
}

/**
 * Reverses `escapeUpperCase`. As in Go, returns undefined for a text with an upper-case letter or a character outside
 * ASCII, or with a `!` that no lower-case letter follows.
 */
export function unescapeUpperCase(escaped: string): string | undefined {
  if (/[A-Z]|\P{ASCII}|!(?![a-z])/u.test(escaped)) return undefined;
  return escaped.replace(/!([a-z])/g, (_, char: string) => char.toUpperCase());
}

function checkPath(path: string, kind: 'module' | 'file'): string | undefined {
  if (!path.isWellFormed() || path.includes('\ufffd')) return 'invalid UTF-8';
  if (path === '') return 'empty string';
  if (kind === 'module' && path.startsWith('-')) return 'leading dash';
  if (path.includes('//')) return 'double slash';
  if (path.endsWith('/')) return 'trailing slash';
  for (const element of path.split('/')) {
    const reason = checkElement(element, kind);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** Returns why a path element is invalid, or undefined if it is valid (checkElem in x/mod/module). */
export function checkElement(element: string, kind: 'module' | 'file'): string | undefined {
  if (element === '') return 'empty path element';
  if (/^\.+$/.test(element)) return `invalid path element ${JSON.stringify(element)}`;
  if (kind === 'module' && element.startsWith('.')) return 'leading dot in path element';
  if (element.endsWith('.')) return 'trailing dot in path element';
  for (const char of ONLY_ALLOWED_ASCII.test(element) && kind === 'file' ? '' : element) {
    if (!(kind === 'module' ? /[-._~0-9A-Za-z]/ : ALLOWED_ASCII).test(char) && !(kind === 'file' && isLetter(char))) {
      return `invalid character ${JSON.stringify(char)}`;
    }
  }
  const short = element.split('.', 1)[0] ?? '';
  if (WINDOWS_NAMES.test(short)) return `${JSON.stringify(short)} disallowed as path element component on Windows`;
  if (kind === 'module' && /~[0-9]+$/.test(short)) return 'trailing tilde and digits in path element';
  return undefined;
}

const ALLOWED_ASCII = /[!#$%&()+,\-.=@[\]^_{}~ 0-9A-Za-z]/;
/** Nearly all elements of file paths match this expression, which is faster than a look at each character. */
const ONLY_ALLOWED_ASCII = /^[!#$%&()+,\-.=@[\]^_{}~ 0-9A-Za-z]*$/;
const WINDOWS_NAMES = /^(?:CON|PRN|AUX|NUL|COM[1-9]|LPT[1-9])$/i;
