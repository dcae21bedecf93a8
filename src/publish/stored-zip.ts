import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { H1 } from '../module/hash.ts';
import { hashZip } from '../module/zip/reader.ts';
import type { ReadStore } from '../store/store.ts';

/**
 * Computes the h1 of a stored zip from its bytes. Resolves to the h1 and the size in bytes; undefined if the store has no
 * such object. `folder` is a temporary folder for a copy of the zip. Throws DamagedZip if the zip cannot be read.
 */
export async function hashStoredZip(
  store: ReadStore,
  key: string,
  folder: string,
): Promise<{ readonly h1: H1; readonly size: number } | undefined> {
  const object = await store.open(key);
  if (!object) return undefined;
  const path = join(folder, 'stored.zip');
  await pipeline(object.body, createWriteStream(path));
  return { h1: await hashZip(path), size: object.size };
}
