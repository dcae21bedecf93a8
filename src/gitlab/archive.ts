import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { Refuse, Retry } from '../errors.ts';

/** A regular file of an archive. `path` is that in the repository; `body` must be read to its end before the next entry. */
export interface ArchivedFile {
  readonly path: string;
  readonly size: number;
  readonly body: AsyncIterable<Buffer>;
}

/** Archives are unpacked in pieces of this many bytes: each piece is a trip to another thread and back. */
const PIECE = 256 * 2 ** 10;

/**
 * The regular files of a tar.gz archive as they arrive. GitLab has sent status 200 long before it knows that it can
 * finish, so the end of gzip and tar is the only proof that an archive is whole: one that breaks off is a Retry.
 * Leaving the loop early closes the download.
 */
export async function* readArchive(archive: Readable): AsyncGenerator<ArchivedFile> {
  const entries = extract();
  let broken: Error | undefined;
  pipeline(archive, createGunzip({ chunkSize: PIECE }), entries, (error) => {
    broken ??= error ?? undefined;
  });
  try {
    for await (const entry of entries) {
      const { name, type, size } = entry.header;
      if (type === 'file' || type === 'contiguous-file') {
        // The first path element is the archive's own: project, ref and commit.
        yield { path: name.slice(name.indexOf('/') + 1), size, body: unlessBroken(entry as AsyncIterable<Buffer>) };
      }
      // Whatever the consumer left unread stands between us and the next entry.
      entry.resume();
    }
  } catch (error) {
    throw brokenOff(broken ?? error);
  } finally {
    archive.destroy();
  }
}

async function* unlessBroken(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw brokenOff(error);
  }
}

/** What failed with a reason of its own (an archive that is too large, a rate limit) keeps it. */
function brokenOff(cause: unknown): Retry | Refuse {
  return cause instanceof Refuse || cause instanceof Retry
    ? cause
    : new Retry('the archive from GitLab broke off', { cause });
}
