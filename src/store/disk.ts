import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, readdir, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { checkRange, lengthOf, translated, withChunks } from './body.ts';
import { isAbsent, isSystemError, translateDiskError } from './disk-errors.ts';
import { checkKey, checkNewKey, checkPrefix, compareKeys, isKey, RESERVED } from './key.ts';
import {
  MAX_GET_BYTES,
  StoreUnavailable,
  type ByteRange,
  type ListedObject,
  type OpenObject,
  type PutStream,
  type Store,
  type StoredObject,
} from './store.ts';

/** A partial file that has not been written to for this many milliseconds belongs to a dead process. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000;

/**
 * A store in a folder. A key is a path below the folder.
 *
 * A put writes a partial file in `.tmp`, syncs it, and renames it to its final path. Therefore a reader sees the whole
 * object or nothing, and `.tmp` must be in the same file system as the objects. `.tmp` also marks a folder as a store.
 * If `.tmp` is missing, the volume is not mounted, so a missing file does not prove that the object is absent.
 */
export class DiskStore implements Store {
  readonly #folder: string;
  readonly #partial: string;

  private constructor(folder: string) {
    this.#folder = resolve(folder);
    this.#partial = join(this.#folder, RESERVED);
  }

  /**
   * Opens the store in `folder`. Creates a missing folder, and removes partial files of dead processes. Rejects with
   * StoreUnavailable if this fails.
   */
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
    return await this.#undefinedIfAbsent(async () => {
      const file = await open(this.#path(key));
      try {
        const { size } = await file.stat();
        if (size > MAX_GET_BYTES)
          throw new StoreUnavailable(
            `${JSON.stringify(key)} in the store in ${this.#folder} has ${size} bytes, more than ${MAX_GET_BYTES}`,
          );
        return await file.readFile();
      } finally {
        await file.close();
      }
    });
  }

  async stat(key: string): Promise<StoredObject | undefined> {
    checkKey(key);
    const stats = await this.#undefinedIfAbsent(() => stat(this.#path(key)));
    return stats?.isFile() === true ? storedObject(key, stats) : undefined;
  }

  async open(key: string, range?: ByteRange): Promise<OpenObject | undefined> {
    checkKey(key);
    if (range !== undefined) checkRange(range);
    const file = await this.#undefinedIfAbsent(() => open(this.#path(key)));
    if (file === undefined) return undefined;
    let opened: OpenObject | undefined;
    try {
      const stats = await this.#attempt(() => file.stat());
      if (stats.isFile()) {
        if (range !== undefined) checkRange(range, stats.size);
        const source = file.createReadStream(range === undefined ? {} : { start: range.first, end: range.last });
        const length = lengthOf(range, stats.size);
        opened = { ...storedObject(key, stats), body: translated(source, length, (error) => this.#translate(error)) };
      }
      return opened;
    } finally {
      if (opened === undefined) await file.close();
    }
  }

  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<ListedObject> {
    checkPrefix(prefix);
    const slash = prefix.lastIndexOf('/') + 1;
    yield* this.#walk(prefix.slice(0, slash), prefix.slice(slash), options.after);
  }

  /**
   * Yields the objects below `directory` whose names there begin with `start`. `directory` is a key with a final `/`,
   * or empty for the root. A directory is sorted by its name with a final `/`, which puts its keys in byte order.
   */
  async *#walk(directory: string, start: string, after: string | undefined): AsyncGenerator<ListedObject> {
    const entries = await this.#undefinedIfAbsent(() => readdir(this.#path(directory), { withFileTypes: true }));
    const keys = (entries ?? [])
      .filter(({ name }) => name.startsWith(start) && isKey(`${directory}${name}`))
      .flatMap((entry) => {
        if (entry.isDirectory()) return [`${directory}${entry.name}/`];
        return entry.isFile() ? [`${directory}${entry.name}`] : [];
      })
      .filter(
        (key) => after === undefined || compareKeys(key, after) > 0 || (key.endsWith('/') && after.startsWith(key)),
      )
      .sort(compareKeys);

    for (const key of keys) {
      if (key.endsWith('/')) yield* this.#walk(key, '', after);
      else yield { key };
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
        // The same outage may prevent the removal of the file; `open` then removes it later. Only the first error
        // matters.
        await rm(partial, { force: true }).catch(() => undefined);
        throw error;
      }
    });
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    const path = this.#path(key);
    await this.#undefinedIfAbsent(async () => {
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

  #path(key: string): string {
    return join(this.#folder, key);
  }

  #newPartial(): string {
    return join(this.#partial, `${process.pid}-${randomUUID()}`);
  }

  /**
   * Returns the result of `access`, or undefined if the object is missing. Throws StoreUnavailable if the store itself
   * is missing.
   */
  async #undefinedIfAbsent<T>(access: () => Promise<T>): Promise<T | undefined> {
    try {
      return await access();
    } catch (error) {
      if (!isAbsent(error)) throw this.#translate(error);
      await this.#attempt(() => stat(this.#partial));
      return undefined;
    }
  }

  /** Returns the result of `access`, and translates its error. */
  async #attempt<T>(access: () => Promise<T>, key?: string): Promise<T> {
    try {
      return await access();
    } catch (error) {
      throw this.#translate(error, key);
    }
  }

  #translate(error: unknown, key?: string): Error {
    return translateDiskError(error, this.#folder, key);
  }
}

function storedObject(key: string, stats: Stats): StoredObject {
  return { key, size: stats.size, modified: stats.mtime };
}

async function unlessMissing<T>(access: Promise<T>): Promise<T | undefined> {
  try {
    return await access;
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Renames a synced file to its final path. A new file or directory survives a power failure only if its parent
 * directory was synced. Therefore this function also syncs each directory that has a new entry.
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
