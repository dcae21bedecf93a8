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
 * Throws Refuse or Retry.
 */
export async function buildFromArchive(
  gitlab: GitLabClient,
  files: CommitFiles,
  version: ResolvedVersion,
  folder: string,
): Promise<BuiltZip> {
  const { project, commit, directory } = version;
  // The download starts before the tree is read and runs at full speed, because a proxy between modpress and GitLab may
  // close an idle connection.
  const spool = await Spool.create(folder);
  const stop = new AbortController();
  const download = spoolArchive(spool, () => gitlab.archive(project.id, commit, directory), stop.signal);
  try {
    const plan = await planZip(files, version);
    let attributes: Promise<Attributes> | undefined;
    const source = {
      archive: spool.reader(),
      blob: (id: BlobId) => gitlab.blob(project.id, id),
      attributes: () => (attributes ??= readAttributes(files, directory, plan.attributes)),
      folder,
    };
    return await writeZip(version, folder, (zip) => mergeArchive(plan.files, source, zip));
  } finally {
    stop.abort();
    await download;
    await spool.release();
  }
}

/** Copies the archive into the spool. Never rejects, because the reader of the spool gets the error. */
async function spoolArchive(spool: Spool, open: () => Promise<Readable>, signal: AbortSignal): Promise<void> {
  try {
    for await (const chunk of checkArchiveSize(addAbortSignal(signal, await open()))) await spool.write(chunk);
    spool.finish();
  } catch (error) {
    spool.fail(error);
  }
}
