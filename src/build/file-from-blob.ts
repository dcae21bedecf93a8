import type { Readable } from 'node:stream';
import { inSlices } from '../async/in-slices.ts';
import { blobHash } from '../gitlab/blob-hash.ts';
import { InvalidResponse } from '../gitlab/invalid-response.ts';
import type { BlobId } from '../gitlab/schema.ts';
import { collect } from '../io/read-body.ts';
import type { Attributes } from './attributes.ts';
import { convertBytes } from './convert-bytes.ts';
import { hashBytes, hashUnsized, type HashedFile } from './hashed-file.ts';
import type { PlannedFile } from './plan-zip.ts';

/** The sources of a file that is made from its blob. */
export interface BlobSource {
  /** Opens a blob as git stores it. */
  readonly blob: (id: BlobId) => Promise<Readable>;
  /** Reads the .gitattributes files that apply to the module's files. */
  readonly attributes: () => Promise<Attributes>;
  /** A folder for files that are too large for memory. The caller removes the folder. */
  readonly folder: string;
}

/**
 * The maximum size of a file that is converted, in bytes, because the whole file is converted in memory. Larger files
 * are not expected to need a conversion.
 */
const MAX_CONVERTED_BYTES = 32 * 2 ** 20;

/**
 * Makes a file from its blob, with the bytes that the go command uses: those after the conversions in .gitattributes.
 * Resolves to undefined if git re-encodes the file or if its conversion is uncertain, because only git can then make
 * the file. Throws Retry if GitLab sent wrong bytes, and Refuse if the file is too large.
 */
export async function makeFromBlob(file: PlannedFile, source: BlobSource): Promise<HashedFile | undefined> {
  const blob = file.content;
  if (typeof blob !== 'string') return hashBytes(blob, 40);
  const conversion = await (await source.attributes()).conversionOf(file.treePath);
  if (conversion === 'unsure' || conversion.reencoded) return undefined;
  if (conversion.ident || conversion.crlf !== 'never') {
    const raw = await readBlob(file.treePath, blob, source);
    return await hashUnsized(convertBytes(raw, blob, conversion), blob.length, source.folder);
  }
  const hashed = await hashUnsized(await source.blob(blob), blob.length, source.folder);
  if (hashed.blob !== blob) throw wrongBytes(file.treePath, blob);
  return hashed;
}

/** Whether `makeFromBlob` can make a file with these .gitattributes files. */
export async function canMakeFromBlob({ content, treePath }: PlannedFile, attributes: Attributes): Promise<boolean> {
  if (typeof content !== 'string') return true;
  const conversion = await attributes.conversionOf(treePath);
  return conversion !== 'unsure' && !conversion.reencoded;
}

/**
 * Reads the blob of a file that .gitattributes converts, as git stores it. Throws Refuse if the blob is larger than 32
 * MiB, and Retry if GitLab sent wrong bytes.
 */
export async function readBlob(treePath: string, blob: BlobId, source: Pick<BlobSource, 'blob'>): Promise<Buffer> {
  const bytes = await collect(
    await source.blob(blob),
    MAX_CONVERTED_BYTES,
    `${treePath}, which .gitattributes converts,`,
  );
  if ((await inSlices(blobIdOf(bytes, blob.length))) !== blob) throw wrongBytes(treePath, blob);
  return bytes;
}

/** The number of bytes after which hashing may be interrupted. */
const STEP_BYTES = 2 ** 18;

function* blobIdOf(bytes: Buffer, idLength: number): Generator<undefined, string> {
  const hash = blobHash(idLength, bytes.length);
  for (let at = 0; at < bytes.length; at += STEP_BYTES) {
    yield;
    hash.update(bytes.subarray(at, at + STEP_BYTES));
  }
  return hash.digest('hex');
}

function wrongBytes(treePath: string, blob: BlobId): InvalidResponse {
  return new InvalidResponse(`GitLab sent wrong bytes for blob ${blob} of ${treePath}`);
}
