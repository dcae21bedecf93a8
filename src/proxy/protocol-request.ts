import type { VersionFile } from '../store/layout.ts';
import { escapePath, escapeUpperCase, unescapePath, type ModulePath } from '../module/path.ts';
import { parseVersion, unescapeVersion } from '../module/version.ts';

/** A request of the GOPROXY protocol. All its fields are unescaped. */
export type ModuleRequest = ListRequest | LatestRequest | FileRequest;

/** `/@v/list`: the versions of a module. */
export interface ListRequest {
  readonly kind: 'list';
  readonly module: ModulePath;
}

/** `/@latest`: the version that the go command uses if the list has no suitable version. */
export interface LatestRequest {
  readonly kind: 'latest';
  readonly module: ModulePath;
}

/**
 * `/@v/<version>.info|.mod|.zip`. `version` is canonical. For `info`, it may also be the name of a revision to resolve,
 * such as `main`, `v1` or a commit.
 */
export interface FileRequest {
  readonly kind: 'file';
  readonly module: ModulePath;
  readonly version: string;
  readonly file: VersionFile;
}

/** A request to a checksum database: `/sumdb/<database>/<operation>`. */
export type SumdbRequest = {
  readonly kind: 'sumdb';
  readonly database: string;
} & (
  | { readonly operation: 'supported' | 'latest' }
  | { readonly operation: 'lookup'; readonly module: ModulePath; readonly version: string }
  | { readonly operation: 'tile'; readonly tile: string }
);

/** The reason why a path is not a request of the GOPROXY protocol. `malformed` means that the URL itself is invalid. */
export interface Rejection {
  readonly kind: 'rejected';
  readonly malformed: boolean;
  readonly reason: string;
}

/**
 * Parses the path of a URL as the client sent it. Percent-decodes the path exactly once, because the go command sends
 * `!` as `%21`. Then unescapes module path and version strictly.
 */
export function parseRequest(wirePath: string): ModuleRequest | SumdbRequest | Rejection {
  const path = percentDecode(wirePath);
  if (path === undefined) return { kind: 'rejected', malformed: true, reason: 'malformed percent-encoding in the URL' };
  if (!path.startsWith('/')) return rejected('not a request of the GOPROXY protocol');
  // Stores allow 1,024 bytes for a key, and 255 bytes between two slashes. The limits here are lower, to leave room for
  // prefixes.
  if (path.length > 1000 || path.split('/').some((element) => element.length > 240))
    return rejected('the path is too long');
  if (path.startsWith('/sumdb/')) return parseSumdb(path.slice('/sumdb/'.length));
  // A module path contains no `@`, so it ends at the first `/@`.
  const at = path.indexOf('/@');
  if (at < 0) return rejected('not a request of the GOPROXY protocol: the path contains no /@v/ or /@latest');
  const module = unescapePath(path.slice(1, at));
  if (typeof module !== 'string') return rejected(`not a module path: ${module.reason}`);
  return parseOperation(module, path.slice(at + 1));
}

/**
 * Returns the path of a request below the URL of a proxy, which is also the cache key. The path is escaped but not
 * percent-encoded, and has no leading `/`.
 */
export function protocolPath(request: ModuleRequest): string {
  const module = escapePath(request.module);
  if (request.kind === 'list') return `${module}/@v/list`;
  if (request.kind === 'latest') return `${module}/@latest`;
  return `${module}/@v/${escapeUpperCase(request.version)}.${request.file}`;
}

/** Returns the path of a request to a checksum database below `/sumdb/`, which is also the cache key. */
export function sumdbPath(request: SumdbRequest): string {
  return `${request.database}/${sumdbOperation(request)}`;
}

/**
 * Returns the part of the path after the database name. A request to the database itself has only this part as its
 * path.
 */
export function sumdbOperation(request: SumdbRequest): string {
  if (request.operation === 'lookup') return `lookup/${escapePath(request.module)}@${escapeUpperCase(request.version)}`;
  return request.operation === 'tile' ? request.tile : request.operation;
}

function parseOperation(module: ModulePath, operation: string): ModuleRequest | Rejection {
  if (operation === '@v/list') return { kind: 'list', module };
  if (operation === '@latest') return { kind: 'latest', module };
  const match = /^@v\/([^/]+)\.(info|mod|zip)$/.exec(operation);
  if (!match) return rejected('only list, NAME.info, VERSION.mod and VERSION.zip exist under /@v/');
  const version = unescapeVersion(match[1] ?? '');
  if (version === undefined) return rejected('not a version: an upper-case X must be written as !x');
  const file = match[2] as VersionFile;
  if (file !== 'info' && parseVersion(version) === undefined) {
    return rejected(
      `${version} is not a canonical version: request its .info first, which contains the canonical version`,
    );
  }
  return { kind: 'file', module, version, file };
}

// A database name may contain slashes. It ends where the operation begins.
const SUMDB = /^(.+?)\/(?:(supported|latest)|lookup\/([^@]+)@([^/@]+)|(tile\/.+))$/;
// The syntax of a tile path, as in tlog.ParseTilePath of golang.org/x/mod/sumdb.
const TILE =
  /^tile\/(?:[1-9]|[12][0-9]|30)\/(?:data|[0-9]|[1-5][0-9]|6[0-3])\/(?:x[0-9]{3}\/)*[0-9]{3}(?:\.p\/[1-9][0-9]{0,9})?$/;
const DATABASE_ELEMENT = /^[A-Za-z0-9_~-][A-Za-z0-9._~-]*(?::[0-9]{1,5})?$/;

function parseSumdb(path: string): SumdbRequest | Rejection {
  const [, database = '', plain, module, version, tile] = SUMDB.exec(path) ?? [];
  if (!database.split('/').every((element) => DATABASE_ELEMENT.test(element))) {
    return rejected('only /sumdb/NAME/supported, latest, lookup/MODULE@VERSION and tile/... exist');
  }
  if (plain === 'supported' || plain === 'latest') return { kind: 'sumdb', database, operation: plain };
  if (tile !== undefined) {
    return TILE.test(tile) ? { kind: 'sumdb', database, operation: 'tile', tile } : rejected('not a valid tile path');
  }
  return parseLookup(database, module ?? '', version ?? '');
}

function parseLookup(database: string, escapedModule: string, escapedVersion: string): SumdbRequest | Rejection {
  const module = unescapePath(escapedModule);
  if (typeof module !== 'string') return rejected(`not a module path: ${module.reason}`);
  const version = unescapeVersion(escapedVersion);
  if (version === undefined || parseVersion(version) === undefined)
    return rejected('a lookup needs a canonical version');
  return { kind: 'sumdb', database, operation: 'lookup', module, version };
}

function percentDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

function rejected(reason: string): Rejection {
  return { kind: 'rejected', malformed: false, reason };
}
