import { Refuse } from '../errors.ts';
import { readArchive, type ArchivedFile } from '../gitlab/archive.ts';
import type { BlobId } from '../gitlab/schema.ts';
import { compareBytes, type H1 } from '../module/hash.ts';
import type { ModuleZip } from '../module/zip/writer.ts';
import type { Readable } from 'node:stream';
import { fromBlob, rawBytes, type BlobSource } from './file-from-blob.ts';
import type { PlannedFile } from './plan.ts';
import { hashFile, type HashedFile } from './hashed-file.ts';

/** Where the bytes of a version come from: the tar.gz archive that holds the module's directory, and blobs for what it lacks or changed. */
export interface ContentSource extends BlobSource {
  readonly archive: Readable;
}

/**
 * Feeds the zip with the planned files, in order, from one pass over the archive: both are in byte order of the
 * paths, so this is a merge. Each file is proved against its blob id before it goes in. Returns the h1.
 *
 * Throws Retry for an archive that breaks off or is damaged, Refuse for a module that is too large or whose
 * conversion cannot be told.
 */
export async function convert(plan: readonly PlannedFile[], source: ContentSource, zip: ModuleZip): Promise<H1> {
  let next = 0;
  const add = (file: PlannedFile, hashed: HashedFile): Promise<void> => zip.add({ path: file.path, ...hashed });
  for await (const archived of readArchive(source.archive)) {
    for (let file = plan[next]; file; file = plan[next]) {
      const order = compareBytes(file.treePath, archived.path);
      if (order > 0) break;
      next++;
      if (order < 0) {
        await add(file, await missing(file, source));
        continue;
      }
      await add(file, await proved(archived, file, source));
      break;
    }
  }
  for (const file of plan.slice(next)) await add(file, await missing(file, source));
  return zip.finish();
}

/**
 * A file of the archive if it is what git stores, else made from its blob: GitLab's archive obeys `export-subst`, which the go
 * command does not, and what was expanded there hides what line ends and `$Id$` were converted to. Up to GitLab 16 it lets the
 * attributes of the default branch decide over those of the commit (ApplyGitattributes of Gitaly).
 */
async function proved(archived: ArchivedFile, file: PlannedFile, source: ContentSource): Promise<HashedFile> {
  const blob = file.content;
  if (typeof blob !== 'string') throw new Error(`${file.treePath} is both in the archive and inherited`);
  const hashed = await hashFile(archived.body, archived.size, blob.length, source.folder);
  if (hashed.blob === blob) return hashed;
  return (await fromBlob(file, source)) ?? (await recoded(hashed, blob, file.treePath, source));
}

/**
 * A file with a working-tree-encoding, which git and so the go command recode: nobody else can derive its bytes, so the
 * archive is taken at its word, unless export-subst may have changed them as well.
 */
async function recoded(hashed: HashedFile, blob: BlobId, treePath: string, source: ContentSource): Promise<HashedFile> {
  if (!(await rawBytes(treePath, blob, source)).includes('$Format:')) return hashed;
  throw new Refuse(
    `${treePath} is converted by .gitattributes and has $Format:$ in it: modpress cannot tell the bytes that the go command would see`,
  );
}

/** A file that the archive lacks: the go command ignores export-ignore, so it belongs in the zip all the same, converted as any other. */
async function missing(file: PlannedFile, source: ContentSource): Promise<HashedFile> {
  const hashed = await fromBlob(file, source);
  if (hashed) return hashed;
  throw new Refuse(
    `${file.treePath} is export-ignore, and .gitattributes also converts it (eol, ident or working-tree-encoding): ` +
      'modpress cannot tell the bytes that the go command would see',
  );
}
