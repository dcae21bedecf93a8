import { createHash } from 'node:crypto';
import { escapePath, type ModulePath } from '../module/path.ts';
import { escapeVersion, type Version } from '../module/version.ts';

/**
 * Where everything lives in the store. Nothing else in the project builds a key by hand.
 * `modules/` by itself is a complete static GOPROXY.
 */

/** The three files of a module version, in the order in which they are written: `.info` is the commit point. */
export type VersionFile = 'zip' | 'mod' | 'info';

/** Key of one file of a published private module version. */
export function moduleKey(path: ModulePath, version: Version, file: VersionFile): string {
  return `${versionsPrefix(path)}${escapeVersion(version)}.${file}`;
}

/** Prefix of all files of a module's published versions, with the final `/`. */
export function versionsPrefix(path: ModulePath): string {
  return `modules/${escapePath(path)}/@v/`;
}

/** Key of the static copy of a module's version list. The listing of `.info` files is the truth, not this. */
export function listKey(path: ModulePath): string {
  return `${versionsPrefix(path)}list`;
}

/** Key of the marker that takes a version out of service. It stays when the version's files are gone. */
export function withdrawalKey(path: ModulePath, version: Version): string {
  return `${withdrawalsPrefix(path)}${escapeVersion(version)}.json`;
}

/** Prefix of the markers of a module's withdrawn versions, with the final `/`. */
export function withdrawalsPrefix(path: ModulePath): string {
  return `withdrawn/${escapePath(path)}/@v/`;
}

/** Key of what became of a tag at a commit. */
export function outcomeKey(projectId: number, tag: string, commit: string): string {
  return `${outcomesOfTagPrefix(projectId, tag, commit)}${commit}.json`;
}

/** Key of the mark that a tag of which there is an outcome was deleted in GitLab. What it published stays. */
export function deletedTagKey(projectId: number, tag: string, commit: string): string {
  return `${outcomesOfTagPrefix(projectId, tag, commit)}${commit}.deleted`;
}

/** Prefix of the outcomes of a tag at whatever commit. `commit` is any of the repository: all its ids are equally long. */
export function outcomesOfTagPrefix(projectId: number, tag: string, commit: string): string {
  return `${outcomesPrefix(projectId)}${escapeTag(tag, commit.length)}@`;
}

/** Reads a key made by `outcomeKey`; undefined for every other, and for tags too long to be read from it. */
export function parseOutcomeKey(projectId: number, key: string): { name: string; commit: string } | undefined {
  const [, escaped, commit] = /^([^/~]+)@([0-9a-f]+)\.json$/.exec(key.slice(outcomesPrefix(projectId).length)) ?? [];
  if (escaped === undefined || commit === undefined) return undefined;
  // Decoding the text as a whole puts the bytes of one character together again.
  return {
    name: decodeURIComponent(escaped.replaceAll(/!([a-z])/g, (_, letter: string) => letter.toUpperCase())),
    commit,
  };
}

/** Key of what the last sweeps saw of all projects. It may be deleted at any time: the next sweep then looks at everything. */
export const SWEEP_STATE_KEY = 'sweep/projects.json';

/** Prefix of all outcomes of a project, with the final `/`. */
export function outcomesPrefix(projectId: number): string {
  return `outcomes/${projectId}/`;
}

/**
 * Key of an index entry. Keys sort by time: the ISO form in UTC has a fixed width. `unique` tells entries of one
 * millisecond apart.
 */
export function indexKey(time: Date, unique: string): string {
  return `index/${time.toISOString()}-${unique}.json`;
}

/**
 * A tag name as one file name: lower case only, since some file systems ignore case, and no longer than a file name may be:
 * 255 bytes, of which `@`, the extension (`.deleted` is the longest) and a commit's digits, 40 or with SHA-256 64, need up to 73.
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
