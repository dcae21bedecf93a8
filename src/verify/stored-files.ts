import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { hashGoMod, type H1 } from '../module/hash.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { MAX_GOMOD } from '../module/zip/writer.ts';
import { moduleKey, type VersionFile } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import { parseJson } from '../io/json.ts';
import { DamagedZip, readModuleZip, type ReadZip } from '../module/zip/reader.ts';

/** A file of a version as it is in the store: what was read from it, that it is missing, or in what way it is bad. */
export type Stored<T> =
  | { readonly is: 'read'; readonly value: T }
  | { readonly is: 'missing' }
  | { readonly is: 'bad'; readonly problem: string };

/** The three files of a version. */
export interface StoredFiles {
  readonly zip: Stored<ReadZip>;
  /** The h1 of `.mod`. */
  readonly mod: Stored<H1>;
  readonly info: Stored<StoredInfo>;
}

/** What is needed of `.info`. */
export interface StoredInfo {
  /** The commit it names, if it does. */
  readonly commit: string | undefined;
}

/** An `.info` is some hundred bytes long; more than this is none. */
const MAX_INFO = 2 ** 20;

const infoSchema = z.object({
  Version: z.string(),
  Time: z.iso.datetime().regex(/T\d\d:\d\d:\d\d/),
  Origin: z.object({ Hash: z.string().optional() }).optional(),
});

/** Reads the three files. `scratch` is an empty folder for a copy of the zip. Rejects with errors of the store, and once `signal` is aborted. */
export async function readStoredFiles(
  store: ReadStore,
  module: ModulePath,
  version: Version,
  folder: string,
  signal: AbortSignal,
): Promise<StoredFiles> {
  const key = (file: VersionFile): string => moduleKey(module, version, file);
  return {
    info: await readSmall(store, key('info'), MAX_INFO, (bytes) => parseInfo(bytes, version)),
    mod: await readSmall(store, key('mod'), MAX_GOMOD, (bytes) => ({ is: 'read', value: hashGoMod(bytes) })),
    zip: await readZip(store, { key: key('zip'), module, version }, folder, signal),
  };
}

async function readSmall<T>(
  store: ReadStore,
  key: string,
  limit: number,
  parse: (bytes: Buffer) => Stored<T>,
): Promise<Stored<T>> {
  const size = (await store.stat(key))?.size;
  if (size !== undefined && size > limit)
    return { is: 'bad', problem: `has ${size} bytes, more than the ${limit} that it may have` };
  const bytes = size === undefined ? undefined : await store.get(key);
  return bytes ? parse(bytes) : { is: 'missing' };
}

async function readZip(
  store: ReadStore,
  { key, module, version }: { key: string; module: ModulePath; version: Version },
  folder: string,
  signal: AbortSignal,
): Promise<Stored<ReadZip>> {
  const object = await store.open(key);
  if (!object) return { is: 'missing' };
  const path = join(folder, 'stored.zip');
  await pipeline(object.body, createWriteStream(path), { signal });
  try {
    return { is: 'read', value: await readModuleZip(path, module, version) };
  } catch (error) {
    if (error instanceof DamagedZip) return { is: 'bad', problem: `cannot be read: ${error.message}` };
    throw error;
  }
}

function parseInfo(bytes: Buffer, version: Version): Stored<StoredInfo> {
  const info = parseJson(bytes);
  if (info === undefined) return { is: 'bad', problem: 'is not JSON' };
  const { data, error } = infoSchema.safeParse(info);
  if (!data)
    return {
      is: 'bad',
      problem: `is not what the go command expects: ${z.prettifyError(error).replaceAll(/\s+/g, ' ')}`,
    };
  if (data.Version !== version) return { is: 'bad', problem: `is that of ${JSON.stringify(data.Version)}` };
  return { is: 'read', value: { commit: data.Origin?.Hash } };
}
