import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPromise } from 'yauzl';
import { hashFiles, type H1, type FileDigest } from '../module/hash.ts';
import type { ReadStore } from '../store/store.ts';

/** The h1 of a stored zip, computed from its bytes; undefined if there is none. `scratch` is a folder for a copy of it. */
export async function hashStoredZip(store: ReadStore, key: string, folder: string): Promise<H1 | undefined> {
  const object = await store.open(key);
  if (!object) return undefined;
  const path = join(folder, 'stored.zip');
  await pipeline(object.body, createWriteStream(path));
  return hashZip(path);
}

/** The h1 of a zip file on disk (dirhash.HashZip). */
async function hashZip(path: string): Promise<H1> {
  const zip = await openPromise(path);
  try {
    const files: FileDigest[] = [];
    for await (const entry of zip.eachEntry()) {
      const sha256 = createHash('sha256');
      for await (const chunk of await zip.openReadStreamPromise(entry)) sha256.update(chunk as Buffer);
      files.push({ name: entry.fileName, sha256: sha256.digest('hex') });
    }
    return hashFiles(files);
  } finally {
    zip.close();
  }
}
