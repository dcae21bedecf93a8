import { createHash } from 'node:crypto';
import { escapePath, unescapePath, type ModulePath } from '../module/path.ts';
import { escapeVersion, parseVersion, unescapeVersion, type Version } from '../module/version.ts';

/**
 * The layout of the store. No other file builds or parses keys.
 *
 * `modules/` alone is a complete static GOPROXY. Below `upstream/` and `sumdb/`, the caches use the paths of their
 * protocols as keys (see proxy/protocol-request.ts).
 */

/** The prefix of all published private modules. */
export const MODULES_PREFIX = 'modules/';
/** The prefix of all outcomes. */
export const OUTCOMES_PREFIX = 'outcomes/';
/** The prefix of the cache for external modules. The cache may be deleted at any time. */
export const UPSTREAM_PREFIX = 'upstream/';
/** The prefix of the cache for checksum databases. The cache may be deleted at any time. */
export const SUMDB_PREFIX = 'sumdb/';

/**
 * The key of the state of all projects, which each sweep stores for the next one. It may be deleted at any time: the
 * next sweep then compares every project.
 */
export const SWEEP_STATE_KEY = 'sweep/projects.json';
/**
 * Returns the key of what is known of the histories of a project's commits. It may be deleted at any time: it is then
 * found again.
 */
export function historyKey(projectId: number): string {
  return `history/${projectId}.json`;
}

/** A key that no object has. Reading it shows whether the store can be read. */
export const PROBE_KEY = `${MODULES_PREFIX}ready`;

/**
 * The three files of a module version, in the order in which they are written. A version becomes visible when its
 * `.info` exists.
 */
export type VersionFile = 'zip' | 'mod' | 'info';

/** Returns the key of one file of a published version. */
export function moduleKey(path: ModulePath, version: Version, file: VersionFile): string {
  return `${versionsPrefix(path)}${escapeVersion(version)}.${file}`;
}

/** Returns the module, version and file of a key made by `moduleKey`; undefined for any other key. */
export function parseModuleKey(key: string): { module: ModulePath; version: Version; file: VersionFile } | undefined {
  const [, path, escaped, file] = /^modules\/(.+)\/@v\/([^/]+)\.(zip|mod|info)$/.exec(key) ?? [];
  if (path === undefined || escaped === undefined) return undefined;
  const module = unescapePath(path);
  const version = parseEscapedVersion(escaped);
  if (typeof module !== 'string' || version === undefined) return undefined;
  return { module, version, file: file as VersionFile };
}

/**
 * Returns the published version whose `.info` has this key; undefined for any other key. The key must be below
 * `versionsPrefix(path)`.
 */
export function parseInfoKey(path: ModulePath, key: string): Version | undefined {
  if (!key.endsWith('.info')) return undefined;
  return parseEscapedVersion(key.slice(versionsPrefix(path).length, -'.info'.length));
}

/** Returns the prefix of all files of a module's published versions, with a final `/`. */
export function versionsPrefix(path: ModulePath): string {
  return `${MODULES_PREFIX}${escapePath(path)}/@v/`;
}

/**
 * Returns the key of the static copy of a module's version list. This copy is not authoritative; the existing `.info`
 * files are.
 */
export function listKey(path: ModulePath): string {
  return `${versionsPrefix(path)}list`;
}

/** Returns the key of the marker of a withdrawn version. The marker stays after the version's files are deleted. */
export function withdrawalKey(path: ModulePath, version: Version): string {
  return `${withdrawalsPrefix(path)}${escapeVersion(version)}.json`;
}

/** Returns the withdrawn version of a key below `withdrawalsPrefix(path)`; undefined if the key contains no version. */
export function parseWithdrawalKey(path: ModulePath, key: string): Version | undefined {
  return parseEscapedVersion(key.slice(withdrawalsPrefix(path).length).replace(/\.json$/, ''));
}

/** Returns the prefix of the markers of a module's withdrawn versions, with a final `/`. */
export function withdrawalsPrefix(path: ModulePath): string {
  return `withdrawn/${escapePath(path)}/@v/`;
}

/** Returns the key of the outcome of a tag at a commit. */
export function outcomeKey(projectId: number, tag: string, commit: string): string {
  return `${outcomesOfTagPrefix(projectId, tag, commit)}${commit}.json`;
}

/** Returns the key of the mark for a tag that has an outcome and was deleted in GitLab. The published version stays. */
export function deletedTagKey(projectId: number, tag: string, commit: string): string {
  return `${outcomesOfTagPrefix(projectId, tag, commit)}${commit}.deleted`;
}

/**
 * Returns the prefix of the outcomes of a tag at all commits. `commit` can be any commit of the repository, because
 * only the length of its id matters.
 */
export function outcomesOfTagPrefix(projectId: number, tag: string, commit: string): string {
  return `${outcomesPrefix(projectId)}${escapeTag(tag, commit.length)}@`;
}

/** Returns the prefix of all outcomes of a project, with a final `/`. */
export function outcomesPrefix(projectId: number): string {
  return `${OUTCOMES_PREFIX}${projectId}/`;
}

/** Returns whether a key below OUTCOMES_PREFIX is the key of an outcome. The other keys are marks of deleted tags. */
export function isOutcomeKey(key: string): boolean {
  return key.endsWith('.json');
}

/**
 * Returns the tag and commit of a key made by `outcomeKey`. Returns undefined for any other key, and if the tag is too
 * long to be in its key.
 */
export function parseOutcomeKey(projectId: number, key: string): { name: string; commit: string } | undefined {
  const [, escaped, commit] = /^([^/~]+)@([0-9a-f]+)\.json$/.exec(key.slice(outcomesPrefix(projectId).length)) ?? [];
  if (escaped === undefined || commit === undefined) return undefined;
  // The whole name is decoded at once, because a character can consist of several bytes, each of which is escaped.
  return {
    name: decodeURIComponent(escaped.replaceAll(/!([a-z])/g, (_, letter: string) => letter.toUpperCase())),
    commit,
  };
}

/**
 * Returns the key of an index entry. Keys sort by time, because ISO 8601 in UTC has a fixed width. `unique`
 * distinguishes entries of the same millisecond.
 */
export function indexKey(time: Date, unique: string): string {
  return `index/${time.toISOString()}-${unique}.json`;
}

/**
 * Returns the Content-Type of an object, for other readers of a bucket. The types are those that GOPROXY servers send.
 */
export function contentTypeOf(key: string): string {
  if (/\.(info|json)$/.test(key)) return 'application/json';
  if (/(\.mod|\/list)$/.test(key)) return 'text/plain; charset=utf-8';
  return key.endsWith('.zip') ? 'application/zip' : 'application/octet-stream';
}

/**
 * Converts a tag name to a file name. The file name is in lower case, because some file systems ignore case. A file
 * name may have 255 bytes. `@`, the commit id (40 digits, or 64 with SHA-256) and the longest extension (`.deleted`)
 * need up to 73 of them.
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
