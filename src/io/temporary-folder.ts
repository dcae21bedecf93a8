import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Retry } from '../errors.ts';

/**
 * The age from which a folder counts as abandoned, in milliseconds. No publish takes this long, so an older folder
 * belongs to a process that was killed.
 */
const ABANDONED_MS = 6 * 60 * 60 * 1000;
/** The interval between two removals of abandoned folders, in milliseconds. */
const CLEAR_INTERVAL_MS = 60 * 60 * 1000;
const PREFIX = 'publish-';

/**
 * The folder for the temporary files of all processes of this user on this machine. Each user has a separate folder,
 * because users cannot write to the folder of another user.
 */
export const TEMPORARY_ROOT = join(tmpdir(), `modpress-${process.getuid?.() ?? 'user'}`);

/** The disk for temporary files is full. */
export class TemporaryDiskFull extends Retry {
  constructor(parent: string, cause: unknown) {
    super(`no space is left for temporary files in ${parent} (set TMPDIR to use another disk)`, { cause });
  }
}

/**
 * Runs `work` with an empty folder below `parent`, and removes the folder afterwards. Throws TemporaryDiskFull if the
 * disk is full.
 */
export async function withTemporaryFolder<T>(parent: string, work: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, PREFIX));
  try {
    return await work(folder);
  } catch (error) {
    // If an archive fills the disk, its reader throws a Retry with ENOSPC as its cause. A store with a full disk throws
    // a different error.
    const cause: unknown = error instanceof Retry ? error.cause : error;
    throw cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC'
      ? new TemporaryDiskFull(parent, cause)
      : error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes the folders that killed processes left below `parent`. */
async function clearAbandonedFolders(parent: string): Promise<void> {
  await mkdir(parent, { recursive: true });
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    // Another process may have removed the folder in the meantime.
    const stats = name.startsWith(PREFIX) ? await stat(path).catch(() => undefined) : undefined;
    if (stats && Date.now() - stats.mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}

/**
 * Removes abandoned folders now and at a fixed interval. One removal at the start would not be enough: after a crash,
 * the folders of the crashed process may not be old enough yet.
 *
 * Resolves to a function that stops the removals. Rejects if the first removal fails. If a later removal fails, calls
 * `onFailure` with the error.
 */
export async function startTemporaryFolderCleanup(
  parent: string,
  onFailure: (error: unknown) => void,
): Promise<() => void> {
  await clearAbandonedFolders(parent);
  const timer = setInterval(() => void clearAbandonedFolders(parent).catch(onFailure), CLEAR_INTERVAL_MS);
  return () => clearInterval(timer);
}
