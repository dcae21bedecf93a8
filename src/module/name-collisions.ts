import { createHash } from 'node:crypto';
import { foldCase } from './unicode.ts';

/** A longer key is replaced by its hash, so that the memory for a name does not depend on its length. */
const MAX_KEY_CHARACTERS = 64;

/**
 * Finds names that differ only in case, and names that belong to both a file and a directory (collisionChecker of
 * golang.org/x/mod/zip).
 */
export class NameCollisions {
  /** The first path for each case-folded name. Two maps of strings take less memory than a map of objects. */
  readonly #files = new Map<string, string>();
  readonly #directories = new Map<string, string>();
  /**
   * The result for each directory: the reason of its collision or that of one of its parents, or undefined. Without it,
   * all parents of each file would be compared again, which takes quadratic time for deep directories.
   */
  readonly #results = new Map<string, string | undefined>();

  /**
   * Adds a file and its parent directories. Returns the reason if one of them collides with an earlier name. A path can
   * have thousands of parents, so the work may be interrupted after each of them (see `inSlices`).
   */
  *add(path: string): Generator<undefined, string | undefined> {
    const reason = this.#check(path, false);
    return reason ?? (yield* this.#addDirectory(path.slice(0, Math.max(0, path.lastIndexOf('/')))));
  }

  *#addDirectory(path: string): Generator<undefined, string | undefined> {
    const added: string[] = [];
    let reason: string | undefined;
    for (
      let directory = path;
      directory !== '';
      directory = directory.slice(0, Math.max(0, directory.lastIndexOf('/')))
    ) {
      const key = keyOf(directory);
      if (this.#results.has(key)) {
        reason = this.#results.get(key);
        break;
      }
      yield;
      added.push(key);
      reason = this.#check(directory, true);
      if (reason !== undefined) break;
    }
    for (const key of added) this.#results.set(key, reason);
    return reason;
  }

  #check(path: string, isDirectory: boolean): string | undefined {
    const fold = keyOf(foldCase(path));
    const [same, different] = isDirectory ? [this.#directories, this.#files] : [this.#files, this.#directories];
    const sameKind = same.get(fold);
    const earlier = sameKind ?? different.get(fold);
    if (earlier === undefined) {
      same.set(fold, path);
      return undefined;
    }
    if (earlier !== path)
      return `case-insensitive file name collision: ${JSON.stringify(earlier)} and ${JSON.stringify(path)}`;
    if (sameKind === undefined) return `${JSON.stringify(path)} is both a file and a directory`;
    return isDirectory ? undefined : `multiple entries for file ${JSON.stringify(path)}`;
  }
}

function keyOf(text: string): string {
  if (text.length <= MAX_KEY_CHARACTERS) return text;
  // A key of a short text cannot begin with NUL, because no path contains it.
  return `\0${createHash('sha256').update(text).digest('base64')}`;
}
