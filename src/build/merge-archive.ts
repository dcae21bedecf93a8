import type { Readable } from 'node:stream';
import { Refuse } from '../errors.ts';
import { readArchive, type ArchivedFile } from '../gitlab/archive.ts';
import type { BlobId } from '../gitlab/schema.ts';
import { compareBytes, type H1 } from '../module/hash.ts';
import type { ModuleZip } from '../module/zip/writer.ts';
import { makeFromBlob, readBlob, type BlobSource } from './file-from-blob.ts';
import { hashFile, type HashedFile } from './hashed-file.ts';
import type { PlannedFile, PlannedFiles } from './plan-zip.ts';

/** The tar.gz archive of the module's directory, and the blobs of files that the archive lacks or has changed. */
export interface ArchiveSource extends BlobSource {
  readonly archive: Readable;
}

/**
 * Adds the planned files to the zip, in order, in one pass over the archive. The plan and the archive are both in byte
 * order of the paths, so they can be merged. The blob id of each file is checked before the file is added. Resolves to
 * the h1.
 *
 * Throws Retry if the archive is truncated or damaged. Throws Refuse if the module is too large, or if modpress cannot
 * compute the conversion of a file.
 */
export async function mergeArchive(plan: PlannedFiles, source: ArchiveSource, zip: ModuleZip): Promise<H1> {
  let next = 0;
  const add = (file: PlannedFile, hashed: HashedFile): Promise<void> => zip.add({ path: file.path, ...hashed });
  for await (const archived of readArchive(source.archive)) {
    for (let file = plan.at(next); file; file = plan.at(next)) {
      const order = compareBytes(file.treePath, archived.path);
      if (order > 0) break;
      next++;
      if (order < 0) {
        await add(file, await missingFile(file, source));
        continue;
      }
      await add(file, await checkedFile(archived, file, source));
      break;
    }
  }
  for (let file = plan.at(next); file; file = plan.at(++next)) await add(file, await missingFile(file, source));
  return zip.finish();
}

/**
 * Returns the file of the archive if its blob id is correct, and otherwise makes the file from its blob. GitLab's
 * archive applies `export-subst`, which the go command ignores. Afterwards, the file no longer shows how line endings
 * and `$Id$` were converted. Up to GitLab 16, the attributes of the default branch override those of the commit
 * (ApplyGitattributes of Gitaly).
 */
async function checkedFile(archived: ArchivedFile, file: PlannedFile, source: ArchiveSource): Promise<HashedFile> {
  const blob = file.content;
  if (typeof blob !== 'string') throw new Error(`${file.treePath} is both in the archive and inherited`);
  const hashed = await hashFile(archived.body, archived.size, blob.length, source.folder);
  if (hashed.blob === blob) return hashed;
  return (await makeFromBlob(file, source)) ?? (await reencodedFile(hashed, blob, file.treePath, source));
}

/**
 * Returns the bytes in the archive for a file that only git can convert, such as a file with `working-tree-encoding`.
 * The go command uses the same conversion. Throws Refuse if `export-subst` may have changed the bytes too.
 */
async function reencodedFile(
  archived: HashedFile,
  blob: BlobId,
  treePath: string,
  source: ArchiveSource,
): Promise<HashedFile> {
  if (!(await readBlob(treePath, blob, source)).includes('$Format:')) return archived;
  throw new Refuse(
    `${treePath} contains $Format:$, and .gitattributes also converts it: modpress cannot compute the bytes that the go command would use`,
  );
}

/**
 * Makes a file that the archive lacks because it is export-ignore, or because the archive was read only up to a long
 * symlink (see readArchive). The go command ignores `export-ignore`, so the file belongs in the zip and is converted
 * like any other file.
 */
async function missingFile(file: PlannedFile, source: ArchiveSource): Promise<HashedFile> {
  const hashed = await makeFromBlob(file, source);
  if (hashed) return hashed;
  throw new Refuse(
    `${file.treePath} is not in the archive, because it is export-ignore or follows a symlink of more than 4 MiB, and ` +
      '.gitattributes also converts it (eol, ident or working-tree-encoding): modpress cannot compute the bytes that ' +
      'the go command would use',
  );
}
