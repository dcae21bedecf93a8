import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { ReadStore, StoredObject } from './store.ts';

/**
 * Copies an object to the file `path`, so that it can be read at any position. Resolves to the object, or to undefined
 * if the object does not exist. Rejects with errors of the store and the disk, and with AbortError once `signal`
 * aborts.
 */
export async function copyToFile(
  store: ReadStore,
  key: string,
  path: string,
  signal?: AbortSignal,
): Promise<StoredObject | undefined> {
  const object = await store.open(key);
  if (object) await pipeline(object.body, createWriteStream(path), signal === undefined ? {} : { signal });
  return object;
}
