import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Retry } from '../errors.ts';

/** No publish takes this long: a folder older than that belongs to a process that was killed. In milliseconds. */
const ABANDONED_MS = 6 * 60 * 60 * 1000;
/** How often one looks for such folders, in milliseconds. */
const CLEAR_MS = 60 * 60 * 1000;
const PREFIX = 'publish-';

/** The folder in which all processes of this machine that run as the same user keep what is temporary: nobody may write into another user's. */
export const TEMPORARY_ROOT = join(tmpdir(), `modpress-${process.getuid?.() ?? 'user'}`);

/** There is no room for temporary files. */
export class TemporaryDiskFull extends Retry {
  constructor(parent: string, cause: unknown) {
    super(`no space is left for temporary files in ${parent} (TMPDIR moves them to another disk)`, { cause });
  }
}

/** Runs `work` with an empty folder below `parent`, and removes the folder whatever comes of it. Throws TemporaryDiskFull if the disk is full. */
export async function withTemporaryFolder<T>(parent: string, work: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, PREFIX));
  try {
    return await work(folder);
  } catch (error) {
    // An archive that finds no room has broken off for its reader. A store whose disk is full has an error of its own.
    const reason: unknown = error instanceof Retry ? error.cause : error;
    throw reason instanceof Error && 'code' in reason && reason.code === 'ENOSPC'
      ? new TemporaryDiskFull(parent, reason)
      : error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes the folders that killed processes left below `parent`. */
export async function clearAbandonedFolders(parent: string): Promise<void> {
  await mkdir(parent, { recursive: true });
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    // A folder that is gone by now needs no removing.
    const made = name.startsWith(PREFIX) ? await stat(path).catch(() => undefined) : undefined;
    if (made && Date.now() - made.mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}

/** The same now and then for as long as a service runs: whoever is started again right after the end finds nothing to be old yet. Returns what ends it. */
export async function keepTemporaryRootClear(
  parent: string,
  onFailure: (error: unknown) => void,
  everyMs = CLEAR_MS,
): Promise<() => void> {
  await clearAbandonedFolders(parent);
  const timer = setInterval(() => void clearAbandonedFolders(parent).catch(onFailure), everyMs);
  return () => clearInterval(timer);
}
