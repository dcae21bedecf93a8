import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../config/reader.ts';
import { messageOf } from '../errors.ts';
import { RESERVED } from '../store/key.ts';
import type { StoreLocation } from '../store/open-store.ts';

/**
 * Throws ConfigError where a folder is to be the store and is none. Opening a folder as a store makes it one: an empty
 * one, in which all is well and nothing is there, is no answer to a mistyped path.
 */
export async function assertStore(location: StoreLocation): Promise<void> {
  if (location.kind !== 'disk') return;
  try {
    await access(join(location.folder, RESERVED));
  } catch (error) {
    throw new ConfigError([`STORE names no store: ${messageOf(error)}`]);
  }
}
