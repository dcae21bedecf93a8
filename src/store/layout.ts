import { createHash } from 'node:crypto';
import { escapePath, unescapePath, type ModulePath } from '../module/path.ts';
import { escapeVersion, parseVersion, unescapeVersion, type Version } from '../module/version.ts';

/**
 * The layout of the store. No other file of the project builds or parses a key by hand.
 *
 * `modules/` alone is a complete static GOPROXY. Below `upstream/` and `sumdb/`, the caches use the paths of their
 * protocols as keys (see proxy/protocol-request.ts).
 */

/** Prefix of all published private modules. */
export const MODULES_PREFIX = 'modules/';
/** Prefix of all outcomes. */
export const OUTCOMES_PREFIX = 'outcomes/';
/** Prefix of the cache for external modules. It may be deleted at any time. */
export const UPSTREAM_PREFIX = 'upstream/';
/** Prefix of the cache for checksum databases. It may be deleted at any time. */
export const SUMDB_PREFIX = 'sumdb/';

/**
 * Key of the state that a sweep remembers of all projects. It may be deleted at any time: the next sweep then compares
 * every project.
 */
export const SWEEP_STATE_KEY = 'sweep/projects.json';
/** A key that no object has. Looking it up shows whether the store can be read. */
export const PROBE_KEY = `${MODULES_PREFIX}ready`;

/** The three files of a module version, in the order in which they are written. A version becomes visible when its `.info` exists. */
export type VersionFile = 'zip' | 'mod' | 'info';

/** Key of one file of a published private module version. */
export function moduleKey(path: ModulePath, version: Version, file: VersionFile): string {
  return `${versionsPrefix(path)}${escapeVersion(version)}.${file}`;
}

/** The module, version and file of a key made by `moduleKey`; undefined for every other key. */
export function parseModuleKey(key: string): { module: ModulePath; version: Version; file: VersionFile } | undefined {
  const [, path, escaped, file] = /^modules\/(.+)\/@v\/([^/]+)\.(zip|mod|info)$/.exec(key) ?? [];
  if (path === undefined || escaped === undefined) return undefined;
  const module = unescapePath(path);
  const version = parseEscapedVersion(escaped);
  if (typeof module !== 'string' || version === undefined) return undefined;
  return { module, version, file: file as VersionFile };
}

/**
 * The published version whose `.info` has this key; undefined for any other key. The key is below
 * `versionsPrefix(path)`.
 */
export function parseInfoKey(path: ModulePath, key: string): Version | undefined {
  if (!key.endsWith('.info')) return undefined;
  return parseEscapedVersion(key.slice(versionsPrefix(path).length, -'.info'.length));
}

/** Prefix of all files of a module's published versions, with the final `/`. */
export function versionsPrefix(path: ModulePath): string {
  return `${MODULES_PREFIX}${escapePath(path)}/@v/`;
}

/** Key of the static copy of a module's version list. The listing of `.info` files decides, not this copy. */
export function listKey(path: ModulePath): string {
  return `${versionsPrefix(path)}list`;
}

/** Key of the marker of a withdrawn version. It stays after the version's files are deleted. */
export function withdrawalKey(path: ModulePath, version: Version): string {
  return `${withdrawalsPrefix(path)}${escapeVersion(version)}.json`;
}

/**
 * The withdrawn version that a key below `withdrawalsPrefix(path)` stands for; undefined if the key names no version.
 */
export function parseWithdrawalKey(path: ModulePath, key: string): Version | undefined {
  return parseEscapedVersion(key.slice(withdrawalsPrefix(path).length).replace(/\.json$/, ''));
}

/** Prefix of the markers of a module's withdrawn versions, with the final `/`. */
export function withdrawalsPrefix(path: ModulePath): string {
  return `withdrawn/${escapePath(path)}/@v/`;
}

/** Key of the outcome of a tag at a commit. */
export function outcomeKey(projectId: number, tag: string, commit: string): string {
  return `${outcomesOfTagPrefix(projectId, tag, commit)}${commit}.json`;
}

/** Key of the mark that a tag with an outcome was deleted in GitLab. Its published version stays. */
export function deletedTagKey(projectId: number, tag: string, commit: string): string {
  return `${outcomesOfTagPrefix(projectId, tag, commit)}${commit}.deleted`;
}

/** Prefix of the outcomes of a tag at every commit. `commit` can be any commit of the repository: all its ids have the same length. */
export function outcomesOfTagPrefix(projectId: number, tag: string, commit: string): string {
  return `${outcomesPrefix(projectId)}${escapeTag(tag, commit.length)}@`;
}

/** Prefix of all outcomes of a project, with the final `/`. */
export function outcomesPrefix(projectId: number): string {
  return `${OUTCOMES_PREFIX}${projectId}/`;
}

/** Whether a key below OUTCOMES_PREFIX is that of an outcome. The other keys are marks of deleted tags. */
export function isOutcomeKey(key: string): boolean {
  return key.endsWith('.json');
}

/** The tag and commit of a key made by `outcomeKey`; undefined for every other key, and for a tag too long to be in its key. */
export function parseOutcomeKey(projectId: number, key: string): { name: string; commit: string } | undefined {
  const [, escaped, commit] = /^([^/~]+)@([0-9a-f]+)\.json$/.exec(key.slice(outcomesPrefix(projectId).length)) ?? [];
  if (escaped === undefined || commit === undefined) return undefined;
  // The whole name is decoded at once, because a character can have several bytes, each escaped by itself.
  return {
    name: decodeURIComponent(escaped.replaceAll(/!([a-z])/g, (_, letter: string) => letter.toUpperCase())),
    commit,
  };
}

/**
 * Key of an index entry. Keys sort by time, because the ISO form in UTC has a fixed width. `unique` distinguishes entries
 * of the same millisecond.
 */
export function indexKey(time: Date, unique: string): string {
  return `index/${time.toISOString()}-${unique}.json`;
}

/** The Content-Type of an object, for other readers of a bucket: the types that GOPROXY servers send. */
export function contentTypeOf(key: string): string {
  if (/\.(info|json)$/.test(key)) return 'application/json';
  if (/(\.mod|\/list)$/.test(key)) return 'text/plain; charset=utf-8';
  return key.endsWith('.zip') ? 'application/zip' : 'application/octet-stream';
}

/**
 * A tag name as a file name. It has lower case only, because some file systems ignore case. A file name may have 255 bytes,
 * of which `@`, the commit id (40 digits, or 64 with SHA-256) and the longest extension (`.deleted`) take up to 73.
 */
function escapeTag(tag: string, commitDigits: number): string {
  const limit = 240 - commitDigits;
  const escaped = [...Buffer.from(tag)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      if (/[a-z0-9._-]/.test(char)) return char;
      if (/[A-Z]/.test(char)) return `!${char.toLowerCase()}`;
      return `%${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
  if (escaped.length <= limit) return escaped;
  return `${escaped.slice(0, limit - 70)}~${createHash('sha256').update(tag).digest('hex')}`;
}

function parseEscapedVersion(escaped: string): Version | undefined {
  return parseVersion(unescapeVersion(escaped) ?? '');
}
