import { Readable } from 'node:stream';
import { Refuse } from '../errors.ts';
import { readArchive } from '../gitlab/archive.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import type { BlobId, CommitId } from '../gitlab/schema.ts';
import { MAX_ZIP } from '../module/zip/writer.ts';
import type { Blobs } from './blobs.ts';
import { hashBytes, hashFile, type HashedFile } from './hashed-file.ts';

/** The dependencies of prefetching. */
export interface PrefetchParts {
  readonly gitlab: GitLabClient;
  readonly blobs: Blobs;
}

/** The project, the commit and the directory of an archive. */
export interface ArchivePlace {
  readonly projectId: number;
  readonly commit: CommitId;
  /** Empty for the whole repository. */
  readonly directory: string;
}

/**
 * Reads one archive and adds its blobs to the cache. `wanted` maps the paths of interest to their blob ids. A file that
 * GitLab has changed or left out stays missing. Resolves to the number of added blobs.
 *
 * Rejects with Retry if the archive is truncated, and with Refuse if the archive is larger than 500 MiB. Blobs that
 * were read before the error stay in the cache.
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
    const archived = await hashFile(body, size, id.length, folder);
    const file = archived.blob === id ? archived : withLineFeeds(archived, id);
    if (file.blob !== id) continue;
    await blobs.keep(id, file);
    kept++;
  }
  return kept;
}

/**
 * Changes the line endings of a small file to LF. Attributes may have changed them to CRLF in the archive, and git most
 * likely stores LF.
 */
function withLineFeeds(file: HashedFile, { length }: BlobId): HashedFile {
  if (!Buffer.isBuffer(file.content)) return file;
  return hashBytes(Buffer.from(file.content.toString('latin1').replaceAll('\r\n', '\n'), 'latin1'), length);
}

/**
 * Yields the chunks of an archive. Throws Refuse after MAX_ZIP bytes, because a zip is hardly ever smaller than the
 * tar.gz of the same files.
 */
export async function* checkArchiveSize(archive: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of archive) {
    bytes += chunk.length;
    if (bytes > MAX_ZIP)
      throw new Refuse(`the archive is larger than ${MAX_ZIP} bytes, the go command's limit for a zip`);
    yield chunk;
  }
}
