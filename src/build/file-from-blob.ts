import type { Readable } from 'node:stream';
import { Retry } from '../errors.ts';
import type { BlobId } from '../gitlab/schema.ts';
import { collect } from '../io/read-body.ts';
import { conversionOf, type AttributesFile } from './attributes.ts';
import { convertBytes } from './convert-bytes.ts';
import { hashBytes, hashUnsized, type HashedFile } from './hashed-file.ts';
import type { PlannedFile } from './plan.ts';

/** What a file is made from when it does not come from an archive. */
export interface BlobSource {
  /** Opens a blob, as git stores it. */
  readonly blob: (id: BlobId) => Promise<Readable>;
  /** All .gitattributes files that govern the module's files. */
  readonly attributes: () => Promise<readonly AttributesFile[]>;
  /** A folder for files that are too large to hold in memory; the caller removes it. */
  readonly folder: string;
}

/** In bytes. A file is converted as a whole, in memory. Nobody converts line ends in a file this large. */
const MAX_CONVERTED = 32 * 2 ** 20;

/**
 * Makes a file from its blob, with the bytes that the go command sees: converted as .gitattributes says. Resolves to
 * undefined for a file whose encoding changes or may change, which git alone can do. Throws Retry if GitLab sent other bytes
 * than those of the blob.
 */
export async function makeFromBlob(file: PlannedFile, source: BlobSource): Promise<HashedFile | undefined> {
  const blob = file.content;
  if (typeof blob !== 'string') return hashBytes(blob, 40);
  const conversion = conversionOf(await source.attributes(), file.treePath);
  if (conversion === 'unsure' || conversion.reencoded) return undefined;
  if (conversion.ident || conversion.crlf !== 'never') {
    return hashBytes(convertBytes(await readBlob(file.treePath, blob, source), blob, conversion), blob.length);
  }
  const hashed = await hashUnsized(await source.blob(blob), blob.length, source.folder);
  if (hashed.blob !== blob) throw wrongBytes(file.treePath, blob);
  return hashed;
}

/** Whether `makeFromBlob` can make a file. */
export function canMakeFromBlob({ content, treePath }: PlannedFile, attributes: readonly AttributesFile[]): boolean {
  if (typeof content !== 'string') return true;
  const conversion = conversionOf(attributes, treePath);
  return conversion !== 'unsure' && !conversion.reencoded;
}

/**
 * Reads the blob of a file that .gitattributes converts, as git stores it. Throws Refuse if it is larger than 32 MiB, Retry
 * if GitLab sent other bytes.
 */
export async function readBlob(treePath: string, blob: BlobId, source: Pick<BlobSource, 'blob'>): Promise<Buffer> {
  const bytes = await collect(await source.blob(blob), MAX_CONVERTED, `${treePath}, which .gitattributes converts,`);
  if (hashBytes(bytes, blob.length).blob !== blob) throw wrongBytes(treePath, blob);
  return bytes;
}

function wrongBytes(treePath: string, blob: BlobId): Retry {
  return new Retry(`GitLab sent other bytes than those of blob ${blob} for ${treePath}`);
}
