import type { VersionFile } from '../store/layout.ts';
import { escapePath, escapeUpperCase, unescapePath, type ModulePath } from '../module/path.ts';
import { parseVersion, unescapeVersion } from '../module/version.ts';

/** A request of the module protocol, with everything unescaped. */
export type ModuleRequest = ListRequest | LatestRequest | FileRequest;

/** `/@v/list`: the known versions. */
export interface ListRequest {
  readonly kind: 'list';
  readonly module: ModulePath;
}

/** `/@latest`: the version to take when the list gives none. */
export interface LatestRequest {
  readonly kind: 'latest';
  readonly module: ModulePath;
}

/**
 * `/@v/<version>.info|.mod|.zip`. `version` is canonical, but for `info`, where it may also be the name of a
 * revision (`main`, `v1`, a commit) to be resolved.
 */
export interface FileRequest {
  readonly kind: 'file';
  readonly module: ModulePath;
  readonly version: string;
  readonly file: VersionFile;
}

/** A request to a checksum database passed through: `/sumdb/<database>/<operation>`. */
export type SumdbRequest = {
  readonly kind: 'sumdb';
  readonly database: string;
} & (
  | { readonly operation: 'supported' | 'latest' }
  | { readonly operation: 'lookup'; readonly module: ModulePath; readonly version: string }
  | { readonly operation: 'tile'; readonly tile: string }
);

/** Why a URL is no request of ours: `malformed` ones break the rules of URLs, the others just name nothing. */
export interface Rejection {
  readonly kind: 'rejected';
  readonly malformed: boolean;
  readonly reason: string;
}

/**
 * Reads the path of a URL as it came over the wire: percent-decoded exactly once (the go command sends `!` as
 * `%21`), then unescaped strictly.
 */
export function parseRequest(wirePath: string): ModuleRequest | SumdbRequest | Rejection {
  const path = percentDecode(wirePath);
  if (path === undefined) return { kind: 'rejected', malformed: true, reason: 'malformed percent-encoding in the URL' };
  if (!path.startsWith('/')) return unknown('not a request of the module protocol');
  // Stores take keys of 1,024 bytes with 255 between two slashes; the rest is room for their own prefixes.
  if (path.length > 1000 || path.split('/').some((element) => element.length > 240))
    return unknown('the path is too long');
  if (path.startsWith('/sumdb/')) return parseSumdb(path.slice('/sumdb/'.length));
  // A module path contains no `@`, so the first one ends it.
  const at = path.indexOf('/@');
  if (at < 0) return unknown('not a request of the module protocol: no /@v/ or /@latest in it');
  const module = unescapePath(path.slice(1, at));
  if (typeof module !== 'string') return unknown(`not a module path: ${module.reason}`);
  return parseOperation(module, path.slice(at + 1));
}

/** The path of a request below a proxy's URL, escaped but not percent-encoded, without a leading `/`. It serves as cache key too. */
export function protocolPath(request: ModuleRequest): string {
  const module = escapePath(request.module);
  if (request.kind === 'list') return `${module}/@v/list`;
  if (request.kind === 'latest') return `${module}/@latest`;
  return `${module}/@v/${escapeUpperCase(request.version)}.${request.file}`;
}

/** The same for a checksum database: the path below `/sumdb/`. */
export function sumdbPath(request: SumdbRequest): string {
  return `${request.database}/${sumdbOperation(request)}`;
}

/** What follows the database in the path, and the whole path when a database is asked directly. */
export function sumdbOperation(request: SumdbRequest): string {
  if (request.operation === 'lookup') return `lookup/${escapePath(request.module)}@${escapeUpperCase(request.version)}`;
  return request.operation === 'tile' ? request.tile : request.operation;
}

function parseOperation(module: ModulePath, operation: string): ModuleRequest | Rejection {
  if (operation === '@v/list') return { kind: 'list', module };
  if (operation === '@latest') return { kind: 'latest', module };
  const match = /^@v\/([^/]+)\.(info|mod|zip)$/.exec(operation);
  if (!match) return unknown('only list, NAME.info, VERSION.mod and VERSION.zip exist under /@v/');
  const version = unescapeVersion(match[1] ?? '');
  if (version === undefined) return unknown('not a version: upper case letters are written !x');
  const file = match[2] as VersionFile;
  if (file !== 'info' && parseVersion(version) === undefined) {
    return unknown(`${version} is not a canonical version: ask for its .info first, which names the version`);
  }
  return { kind: 'file', module, version, file };
}

// A database's name may contain slashes, so the operation is what tells where it ends.
const SUMDB = /^(.+?)\/(?:(supported|latest)|lookup\/([^@]+)@([^/@]+)|(tile\/.+))$/;
// The form of a tile path: tlog.ParseTilePath in golang.org/x/mod/sumdb.
const TILE =
  /^tile\/(?:[1-9]|[12][0-9]|30)\/(?:data|[0-9]|[1-5][0-9]|6[0-3])\/(?:x[0-9]{3}\/)*[0-9]{3}(?:\.p\/[1-9][0-9]{0,9})?$/;
const DATABASE_ELEMENT = /^[A-Za-z0-9_~-][A-Za-z0-9._~-]*(?::[0-9]{1,5})?$/;

function parseSumdb(path: string): SumdbRequest | Rejection {
  const [, database = '', plain, module, version, tile] = SUMDB.exec(path) ?? [];
  if (!database.split('/').every((element) => DATABASE_ELEMENT.test(element))) {
    return unknown('only /sumdb/NAME/supported, latest, lookup/MODULE@VERSION and tile/... exist');
  }
  if (plain === 'supported' || plain === 'latest') return { kind: 'sumdb', database, operation: plain };
  if (tile !== undefined) {
    return TILE.test(tile) ? { kind: 'sumdb', database, operation: 'tile', tile } : unknown('not the path of a tile');
  }
  return parseLookup(database, module ?? '', version ?? '');
}

function parseLookup(database: string, escapedModule: string, escapedVersion: string): SumdbRequest | Rejection {
  const module = unescapePath(escapedModule);
  if (typeof module !== 'string') return unknown(`not a module path: ${module.reason}`);
  const version = unescapeVersion(escapedVersion);
  if (version === undefined || parseVersion(version) === undefined)
    return unknown('a lookup needs a canonical version');
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

function unknown(reason: string): Rejection {
  return { kind: 'rejected', malformed: false, reason };
}
