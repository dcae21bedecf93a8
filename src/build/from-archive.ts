import { addAbortSignal, type Readable } from 'node:stream';
import type { GitLabClient } from '../gitlab/client.ts';
import type { BlobId } from '../gitlab/schema.ts';
import { Spool } from '../io/spool.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';
import type { Attributes } from './attributes.ts';
import { readAttributes, type CommitFiles } from './commit-files.ts';
import { mergeArchive } from './merge-archive.ts';
import { planZip } from './plan-zip.ts';
import { checkArchiveSize } from './prefetch.ts';
import { writeZip, type BuiltZip } from './zip-file.ts';

/**
 * Builds the zip of a version from an archive. The archive is downloaded while the tree is read and the zip is written.
 * A failure of the one ends the other at once: a tree or an archive can be without an end. `onLarge` is called if the
 * module has very many files, see PlanOptions. Throws Refuse or Retry.
 */
export async function buildFromArchive(
  gitlab: GitLabClient,
  files: CommitFiles,
  version: ResolvedVersion,
  folder: string,
  onLarge: () => void,
): Promise<BuiltZip> {
  const { project, commit, directory } = version;
  // The download starts before the tree is read and runs at full speed, because a proxy between modpress and GitLab may
  // close an idle connection.
  const spool = await Spool.create(folder);
  const stopDownload = new AbortController();
  const stopPlan = new AbortController();
  const open = (): Promise<Readable> => gitlab.archive(project.id, commit, directory);
  const download = spoolArchive(spool, open, stopDownload.signal, (error) => stopPlan.abort(error));
  try {
    const plan = await planZip(files, version, { signal: stopPlan.signal, onLarge });
    let attributes: Promise<Attributes> | undefined;
    const source = {
      archive: spool.reader(),
      blob: (id: BlobId) => gitlab.blob(project.id, id),
      attributes: () => (attributes ??= readAttributes(files, directory, plan.attributes)),
      folder,
    };
    return await writeZip(version, folder, (zip) => mergeArchive(plan.files, source, zip));
  } finally {
    stopDownload.abort();
    await download;
    await spool.release();
  }
}

/**
 * Copies the archive into the spool, until `signal` is aborted. Never rejects: the reader of the spool gets the error,
 * and `onFailure` is called with it.
 */
async function spoolArchive(
  spool: Spool,
  open: () => Promise<Readable>,
  signal: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<void> {
  try {
    const archive = await openUnlessAborted(open, signal);
    for await (const chunk of checkArchiveSize(addAbortSignal(signal, archive))) await spool.write(chunk);
    spool.finish();
  } catch (error) {
    spool.fail(error);
    onFailure(error);
  }
}

/** Rejects as soon as `signal` is aborted: the headers of an archive can take a minute. */
async function openUnlessAborted(open: () => Promise<Readable>, signal: AbortSignal): Promise<Readable> {
  const opening = open();
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    return await Promise.race([opening, aborted]);
  } catch (error) {
    // After an abort, the archive may still arrive.
    void opening.then((archive) => archive.destroy()).catch(() => undefined);
    throw error;
  }
}
