import { Refuse, Retry } from '../errors.ts';
import { readArchive, type ArchivedFile } from '../gitlab/archive.ts';
import { collect } from '../gitlab/collect.ts';
import { compareBytes, type H1 } from '../module/hash.ts';
import type { ModuleZip } from '../module/zip.ts';
import type { Readable } from 'node:stream';
import { conversionOf } from './attributes.ts';
import { fromBlob, MAX_REPAIR, rawBytes, type BlobSource } from './from-blob.ts';
import type { PlannedFile } from './plan.ts';
import { canonicalBytes } from './repair.ts';
import { takeBytes, takeFile, type TakenFile } from './taken.ts';

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
  const add = (file: PlannedFile, taken: TakenFile): Promise<void> => zip.add({ path: file.path, ...taken });
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

/** A file of the archive, repaired where GitLab changed what the go command does not. */
async function proved(archived: ArchivedFile, file: PlannedFile, source: ContentSource): Promise<TakenFile> {
  const blob = file.content;
  if (typeof blob !== 'string') throw new Error(`${file.treePath} is both in the archive and inherited`);
  const taken = await takeFile(archived.body, archived.size, blob.length, source.scratch);
  if (taken.blob === blob) return taken;
  if (archived.size > MAX_REPAIR) {
    throw new Refuse(`${archived.path} differs from its blob and, with ${archived.size} bytes, is too large to find out why`);
  }
  const raw = await rawBytes(file.treePath, blob, source);
  const archivedBytes = await bytesOf(taken, file);
  const canonical = canonicalBytes(raw, archivedBytes, blob) ?? (await reencoded(raw, archivedBytes, file, source));
  if (!canonical) {
    throw new Retry(`${archived.path} in the archive is not blob ${blob}, nor any conversion of it that modpress knows`);
  }
  return takeBytes(canonical, blob.length);
}

/**
 * The bytes of a file with a working-tree-encoding, which git and so the go command recode: nobody else can derive
 * them, so the archive is taken at its word, unless export-subst may have changed them as well. Undefined for a file
 * that no attribute recodes: then it is damaged.
 */
async function reencoded(raw: Buffer, archived: Buffer, file: PlannedFile, source: ContentSource): Promise<Buffer | undefined> {
  const conversion = conversionOf(await source.attributes(), file.treePath);
  if (conversion !== 'unsure' && !conversion.recoded) return undefined;
  if (!raw.includes('$Format:')) return archived;
  throw new Refuse(`${file.treePath} is converted by .gitattributes and has $Format:$ in it: modpress cannot tell the bytes that the go command would see`);
}

/** A file that the archive lacks: the go command ignores export-ignore, so it belongs in the zip all the same, converted as any other. */
async function missing(file: PlannedFile, source: ContentSource): Promise<TakenFile> {
  const taken = await fromBlob(file, source);
  if (taken) return taken;
  throw new Refuse(
    `${file.treePath} is export-ignore, and .gitattributes also converts it (eol, ident or working-tree-encoding): ` +
      'modpress cannot tell the bytes that the go command would see',
  );
}

async function bytesOf({ content }: TakenFile, file: PlannedFile): Promise<Buffer> {
  return Buffer.isBuffer(content) ? content : collect(content(), MAX_REPAIR, file.treePath);
}
