import { Readable } from 'node:stream';
import { Refuse } from '../errors.ts';
import { readArchive } from '../gitlab/archive.ts';
import type { BlobId, CommitId } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { MAX_ZIP } from '../module/zip/writer.ts';
import type { Blobs } from './blobs.ts';
import { hashBytes, hashFile, type HashedFile } from './hashed-file.ts';

/** What filling the cache of blobs needs. */
export interface PrefetchParts {
  readonly gitlab: GitLabClient;
  readonly blobs: Blobs;
}

/** So many missing blobs are fetched one by one rather than with an archive. */
const FEW_BLOBS = 10;

/** Whether what is missing is not worth an archive. As a set, since files with the same content are one blob, and one call. */
export function areFew(missing: ReadonlySet<BlobId>): boolean {
  return missing.size <= FEW_BLOBS;
}

/** Which archive. */
export interface ArchivePlace {
  readonly projectId: number;
  readonly commit: CommitId;
  /** Empty for the whole repository. */
  readonly directory: string;
}

/**
 * Reads one archive for the blobs in it: of the wanted paths, those files are kept that are what the tree says. What GitLab
 * changed or left out stays missing. Resolves to how many were kept. Rejects with Retry for an archive that breaks off, and
 * Refuse for one that is larger than 500 MiB; what came before that is kept.
 */
export async function prefetchFromArchive(
  { gitlab, blobs }: PrefetchParts,
  place: ArchivePlace,
  wanted: ReadonlyMap<string, BlobId>,
  folder: string,
): Promise<number> {
  let kept = 0;
  const archive = await gitlab.archive(place.projectId, place.commit, place.directory);
  for await (const { path, size, body } of readArchive(
    Readable.from(checkArchiveSize(archive), { objectMode: false }),
  )) {
    const id = wanted.get(path);
    if (id === undefined || size > MAX_ZIP || blobs.has(id)) continue;
    const hashed = await hashFile(body, size, id.length, folder);
    const raw = hashed.blob === id ? hashed : withLineFeeds(hashed, id);
    if (raw.blob !== id) continue;
    await blobs.keep(id, raw);
    kept++;
  }
  return kept;
}

/** A small file with its line ends as git most likely stores them, where attributes had them changed to CRLF. */
function withLineFeeds(hashed: HashedFile, { length }: BlobId): HashedFile {
  if (!Buffer.isBuffer(hashed.content)) return hashed;
  return hashBytes(Buffer.from(hashed.content.toString('latin1').replaceAll('\r\n', '\n'), 'latin1'), length);
}

/** The chunks of an archive. Throws Refuse once there are too many: a zip is hardly ever smaller than the tar.gz of the same files. */
export async function* checkArchiveSize(archive: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of archive) {
    bytes += chunk.length;
    if (bytes > MAX_ZIP)
      throw new Refuse(`the archive is larger than ${MAX_ZIP} bytes, the go command's limit for a zip`);
    yield chunk;
  }
}
