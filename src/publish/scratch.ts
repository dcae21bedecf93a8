import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** No publish takes this long: a folder older than that belongs to a process that was killed. In milliseconds. */
const ABANDONED_MS = 6 * 60 * 60 * 1000;
const PREFIX = 'publish-';

/** The folder in which all processes of this machine keep what is temporary. */
export const SCRATCH = join(tmpdir(), 'modpress');

/** Runs `work` with an empty folder below `parent`, and removes the folder whatever comes of it. */
export async function withScratch<T>(parent: string, work: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, PREFIX));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes the folders that killed processes left below `parent`. */
export async function clearAbandonedScratch(parent: string): Promise<void> {
  await mkdir(parent, { recursive: true });
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    // A folder that is gone by now needs no removing.
    const made = name.startsWith(PREFIX) ? await stat(path).catch(() => undefined) : undefined;
    if (made && Date.now() - made.mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}
