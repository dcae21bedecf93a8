import type { Readable } from 'node:stream';
import { Retry } from '../errors.ts';
import type { BlobId } from '../gitlab/schema.ts';
import { collect } from '../io/read-body.ts';
import { conversionOf, type AttributesFile } from './attributes.ts';
import type { PlannedFile } from './plan.ts';
import { convertedBytes } from './convert-bytes.ts';
import { hashBytes, hashUnsized, type HashedFile } from './hashed-file.ts';

/** What the bytes of a file are made from when they do not come from an archive. */
export interface BlobSource {
  /** Opens a blob, as git stores it. */
  readonly blob: (id: BlobId) => Promise<Readable>;
  /** Every .gitattributes file that governs the module's files. */
  readonly attributes: () => Promise<readonly AttributesFile[]>;
  /** A folder for what is too large to hold in memory; the caller removes it. */
  readonly folder: string;
}

/** In bytes. A converted file has to be looked at as a whole, in memory; nobody has line ends changed in one this large. */
const MAX_REPAIR = 32 * 2 ** 20;

/**
 * The bytes of a file as the go command has them, made from its blob: converted as .gitattributes says. Undefined for one
 * that gets another encoding, or may get one: git alone can make that. Throws Retry for a blob that GitLab sent damaged.
 */
export async function fromBlob(file: PlannedFile, source: BlobSource): Promise<HashedFile | undefined> {
  const blob = file.content;
  if (typeof blob !== 'string') return hashBytes(blob, 40);
  const conversion = conversionOf(await source.attributes(), file.treePath);
  if (conversion === 'unsure' || conversion.recoded) return undefined;
  if (conversion.ident || conversion.crlf !== 'never') {
    return hashBytes(convertedBytes(await rawBytes(file.treePath, blob, source), blob, conversion), blob.length);
  }
  const hashed = await hashUnsized(await source.blob(blob), blob.length, source.folder);
  if (hashed.blob !== blob) throw otherBytes(file.treePath, blob);
  return hashed;
}

/** Whether `fromBlob` gives the bytes of a file. */
export function isMadeFromBlob({ content, treePath }: PlannedFile, attributes: readonly AttributesFile[]): boolean {
  if (typeof content !== 'string') return true;
  const conversion = conversionOf(attributes, treePath);
  return conversion !== 'unsure' && !conversion.recoded;
}

/** The bytes of the blob of a file that is converted, as git stores them. Throws Refuse if they are too many, Retry if they are others. */
export async function rawBytes(treePath: string, blob: BlobId, source: Pick<BlobSource, 'blob'>): Promise<Buffer> {
  const raw = await collect(await source.blob(blob), MAX_REPAIR, `${treePath}, which .gitattributes converts,`);
  if (hashBytes(raw, blob.length).blob !== blob) throw otherBytes(treePath, blob);
  return raw;
}

function otherBytes(treePath: string, blob: BlobId): Retry {
  return new Retry(`GitLab sent other bytes than those of blob ${blob} for ${treePath}`);
}
