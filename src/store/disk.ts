import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, readdir, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { checkRange, translated, withChunks } from './body.ts';
import { checkKey, checkNewKey, checkPrefix, compareKeys, isKey, RESERVED } from './key.ts';
import {
  type ByteRange,
  type OpenObject,
  type PutStream,
  type Store,
  type StoredObject,
  StoreUnavailable,
} from './store.ts';

/** A partial file that nobody wrote to for this long was left by a process that died. In milliseconds. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000;

/** How many files of a directory are looked at together while listing. */
const LISTING_BATCH = 64;

/**
 * The store in a folder: a key is a path below it.
 *
 * An object is written to a partial file in `.tmp`, synced, and renamed to its place, so a reader sees all of it or
 * none. `.tmp` therefore has to be in the same file system as the rest. It is also the mark of a store: where it is
 * missing, the volume is not mounted, and nothing read there means anything.
 */
export class DiskStore implements Store, AsyncDisposable {
  readonly #folder: string;
  readonly #partial: string;

  private constructor(folder: string) {
    this.#folder = resolve(folder);
    this.#partial = join(this.#folder, RESERVED);
  }

  /** Opens the store in `folder`, which is created if missing, and clears away what dead processes left there. */
  static async open(folder: string): Promise<DiskStore> {
    const store = new DiskStore(folder);
    await store.#attempt(async () => {
      await mkdir(store.#partial, { recursive: true });
      for (const name of await readdir(store.#partial)) {
        const path = join(store.#partial, name);
        const stats = await unlessMissing(stat(path));
        if (stats !== undefined && Date.now() - stats.mtimeMs > ABANDONED_AFTER_MS) await rm(path, { force: true });
      }
    });
    return store;
  }

  async get(key: string): Promise<Buffer | undefined> {
    checkKey(key);
    return await this.#find(() => readFile(this.#path(key)));
  }

  async stat(key: string): Promise<StoredObject | undefined> {
    checkKey(key);
    const stats = await this.#find(() => stat(this.#path(key)));
    return stats?.isFile() === true ? storedObject(key, stats) : undefined;
  }

  async open(key: string, range?: ByteRange): Promise<OpenObject | undefined> {
    checkKey(key);
    if (range !== undefined) checkRange(range);
    const file = await this.#find(() => open(this.#path(key)));
    if (file === undefined) return undefined;
    let opened: OpenObject | undefined;
    try {
      const stats = await this.#attempt(() => file.stat());
      if (stats.isFile()) {
        if (range !== undefined) checkRange(range, stats.size);
        const source = file.createReadStream(range === undefined ? {} : { start: range.first, end: range.last });
        opened = { ...storedObject(key, stats), body: translated(source, (error) => this.#translate(error)) };
      }
      return opened;
    } finally {
      if (opened === undefined) await file.close();
    }
  }

  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<StoredObject> {
    checkPrefix(prefix);
    const slash = prefix.lastIndexOf('/') + 1;
    yield* this.#walk(prefix.slice(0, slash), prefix.slice(slash), options.after);
  }

  /**
   * The objects below `directory` (a key with its final `/`, or nothing for the root), first level filtered by how the
   * names start. A directory sorts as its name with a `/`, which is where its keys stand among the others.
   */
  async *#walk(directory: string, start: string, after: string | undefined): AsyncGenerator<StoredObject> {
    const found = (await this.#find(() => readdir(this.#path(directory), { withFileTypes: true }))) ?? [];
    const keys = found
      .filter((entry) => entry.name.startsWith(start) && isKey(`${directory}${entry.name}`))
      .flatMap((entry) => {
        if (entry.isDirectory()) return [`${directory}${entry.name}/`];
        return entry.isFile() ? [`${directory}${entry.name}`] : [];
      })
      .filter(
        (key) => after === undefined || compareKeys(key, after) > 0 || (key.endsWith('/') && after.startsWith(key)),
      )
      .map((key) => ({ key, bytes: Buffer.from(key) }))
      .sort((one, other) => Buffer.compare(one.bytes, other.bytes))
      .map(({ key }) => key);

    for (let index = 0; index < keys.length; index += LISTING_BATCH) {
      const batch = keys.slice(index, index + LISTING_BATCH);
      const objects = await Promise.all(
        batch.map(async (key) => (key.endsWith('/') ? undefined : await this.stat(key))),
      );
      for (const [position, key] of batch.entries()) {
        const object = objects[position];
        if (object !== undefined) yield object;
        else if (key.endsWith('/')) yield* this.#walk(key, '', after);
      }
    }
  }

  async put(key: string, body: Buffer | PutStream): Promise<void> {
    await withChunks(body, async (chunks) => {
      checkNewKey(key);
      const partial = this.#newPartial();
      try {
        const file = await this.#attempt(() => open(partial, 'wx'));
        try {
          for await (const chunk of chunks) await this.#attempt(() => file.appendFile(chunk));
          await this.#attempt(() => file.sync());
        } finally {
          await this.#attempt(() => file.close());
        }
        await this.#attempt(() => moveInto(partial, this.#path(key)), key);
      } catch (error) {
        // What cannot be removed now, because of the same outage, is removed by a later start. The first error counts.
        await rm(partial, { force: true }).catch(() => undefined);
        throw error;
      }
    });
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    const path = this.#path(key);
    await this.#find(async () => {
      if (!(await stat(path)).isFile()) return;
      await unlink(path);
      await syncDirectory(dirname(path));
    });
  }

  async check(): Promise<void> {
    const probe = this.#newPartial();
    await this.#attempt(async () => {
      try {
        await writeFile(probe, 'ok', { flush: true });
        await readFile(probe);
      } finally {
        await rm(probe, { force: true });
      }
    });
  }

  /** Nothing stays open between calls. */
  async [Symbol.asyncDispose](): Promise<void> {}

  #path(key: string): string {
    return join(this.#folder, key);
  }

  #newPartial(): string {
    return join(this.#partial, `${process.pid}-${randomUUID()}`);
  }

  /** What `look` gives, or undefined where there is no such object. */
  async #find<T>(look: () => Promise<T>): Promise<T | undefined> {
    try {
      return await look();
    } catch (error) {
      if (!isSystemError(error) || !ABSENT.has(error.code)) throw this.#translate(error);
      await this.#attempt(() => stat(this.#partial));
      return undefined;
    }
  }

  async #attempt<T>(act: () => Promise<T>, key?: string): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw this.#translate(error, key);
    }
  }

  /** An error of the file system as the contract has it. With the key that was to be written, what is wrong with the key is told apart. */
  #translate(error: unknown, key?: string): Error {
    if (!isSystemError(error)) return error instanceof Error ? error : new Error(String(error));
    const clash = CLASH[error.code];
    if (key !== undefined && clash !== undefined) {
      return new Error(`${JSON.stringify(key)} cannot be stored in ${this.#folder}: ${clash}`, { cause: error });
    }
    const advice = ADVICE[error.code] ?? `the file system answered ${error.code}`;
    return new StoreUnavailable(`the store in ${this.#folder} cannot be used: ${advice}`, { cause: error });
  }
}

/** The file system's ways of saying that there is no such file. */
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG']);

/** What cannot be written whatever the state of the disk: a bucket would allow it, but no key of ours is such. */
const CLASH: Readonly<Record<string, string>> = {
  ENOTDIR: 'another object has the name of one of its directories',
  EEXIST: 'another object has the name of one of its directories',
  EISDIR: 'a directory has its name',
  ENOTEMPTY: 'a directory has its name',
  ENAMETOOLONG: 'the name is too long for this file system',
};

const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: `it is gone, or not a store ("${RESERVED}" is missing); is the volume mounted?`,
  ENOSPC: 'the disk is full; free some space or move the store to a larger volume',
  EDQUOT: 'the quota is used up; free some space or raise it',
  EACCES: `permission denied; give the user of this process${userId()} read and write access to all of it`,
  EPERM: `not permitted; give the user of this process${userId()} read and write access to all of it`,
  EROFS: 'it is mounted read-only; mount it writable',
  EIO: 'the disk reports errors; look at the system log',
  EXDEV: `"${RESERVED}" is on another file system than the rest; keep the whole folder on one`,
  EMFILE: 'too many files are open; raise the limit of open files (ulimit -n)',
  ENFILE: 'too many files are open on this machine; raise the limit (fs.file-max)',
};

function userId(): string {
  return process.geteuid === undefined ? '' : ` (uid ${process.geteuid()})`;
}

function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}

function storedObject(key: string, stats: Stats): StoredObject {
  return { key, size: stats.size, modified: stats.mtime };
}

async function unlessMissing<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking;
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Renames a synced file into its place so that it stays there after a power cut: a name is durable only once its
 * directory is synced, and that goes for the new directories above it too.
 */
async function moveInto(partial: string, path: string): Promise<void> {
  const directory = dirname(path);
  const firstNew = await mkdir(directory, { recursive: true });
  await rename(partial, path);
  await syncDirectory(directory);
  if (firstNew === undefined) return;
  for (let created = directory; created.length >= firstNew.length; created = dirname(created))
    await syncDirectory(dirname(created));
}

async function syncDirectory(directory: string): Promise<void> {
  const handle: FileHandle = await open(directory);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
