import { join } from 'node:path';
import { z } from 'zod';
import { hashGoMod, type H1 } from '../module/hash.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { MAX_GOMOD } from '../module/zip/writer.ts';
import { moduleKey, type VersionFile } from '../store/layout.ts';
import { copyToFile } from '../store/copy-to-file.ts';
import type { ReadStore } from '../store/store.ts';
import { parseJson } from '../io/json.ts';
import { DamagedZip, readModuleZip, type ReadZip } from '../module/zip/reader.ts';

/** A file of a version in the store. It was read, or it is missing, or it is invalid for the reason in `problem`. */
export type StoredFile<T> =
  | { readonly is: 'read'; readonly value: T }
  | { readonly is: 'missing' }
  | { readonly is: 'invalid'; readonly problem: string };

/** The three files of a version. */
export interface StoredFiles {
  readonly zip: StoredFile<ReadZip>;
  /** The h1 checksum of `.mod`. */
  readonly mod: StoredFile<H1>;
  readonly info: StoredFile<StoredInfo>;
}

/** The part of `.info` that is needed to check a version. */
export interface StoredInfo {
  /** The commit, if `.info` has one. */
  readonly commit: string | undefined;
}

/** A valid `.info` has a few hundred bytes. A file above this limit is invalid and is not read. */
const MAX_INFO_BYTES = 2 ** 20;

const infoSchema = z.object({
  Version: z.string(),
  Time: z.iso.datetime().regex(/T\d\d:\d\d:\d\d/),
  Origin: z.object({ Hash: z.string().optional() }).optional(),
});

/**
 * Reads the three files of a version. `folder` is an empty folder for a copy of the zip. Rejects with errors of the
 * store and of the disk, and once `signal` is aborted.
 */
export async function readStoredFiles(
  store: ReadStore,
  module: ModulePath,
  version: Version,
  folder: string,
  signal: AbortSignal,
): Promise<StoredFiles> {
  const key = (file: VersionFile): string => moduleKey(module, version, file);
  return {
    info: await readSmall(store, key('info'), MAX_INFO_BYTES, (bytes) => parseInfo(bytes, version)),
    mod: await readSmall(store, key('mod'), MAX_GOMOD, (bytes) => ({ is: 'read', value: hashGoMod(bytes) })),
    zip: await readZip(store, { key: key('zip'), module, version }, folder, signal),
  };
}

async function readSmall<T>(
  store: ReadStore,
  key: string,
  limit: number,
  parse: (bytes: Buffer) => StoredFile<T>,
): Promise<StoredFile<T>> {
  const size = (await store.stat(key))?.size;
  if (size !== undefined && size > limit)
    return { is: 'invalid', problem: `has ${size} bytes, but at most ${limit} are allowed` };
  const bytes = size === undefined ? undefined : await store.get(key);
  return bytes ? parse(bytes) : { is: 'missing' };
}

async function readZip(
  store: ReadStore,
  { key, module, version }: { key: string; module: ModulePath; version: Version },
  folder: string,
  signal: AbortSignal,
): Promise<StoredFile<ReadZip>> {
  const path = join(folder, 'stored.zip');
  if (!(await copyToFile(store, key, path, signal))) return { is: 'missing' };
  try {
    return { is: 'read', value: await readModuleZip(path, module, version) };
  } catch (error) {
    if (error instanceof DamagedZip) return { is: 'invalid', problem: `cannot be read: ${error.message}` };
    throw error;
  }
}

function parseInfo(bytes: Buffer, version: Version): StoredFile<StoredInfo> {
  const info = parseJson(bytes);
  if (info === undefined) return { is: 'invalid', problem: 'is not JSON' };
  const { data, error } = infoSchema.safeParse(info);
  if (!data)
    return {
      is: 'invalid',
      problem: `is not valid for the go command: ${z.prettifyError(error).replaceAll(/\s+/g, ' ')}`,
    };
  if (data.Version !== version) return { is: 'invalid', problem: `names the version ${JSON.stringify(data.Version)}` };
  return { is: 'read', value: { commit: data.Origin?.Hash } };
}
