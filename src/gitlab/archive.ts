import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { asRetry } from '../errors.ts';

/** A regular file of an archive. `path` is its path in the repository. `body` can be read until the loop goes on to the next file. */
export interface ArchivedFile {
  readonly path: string;
  readonly size: number;
  readonly body: AsyncIterable<Buffer>;
}

/** gunzip gives chunks of this size. Each chunk costs a round trip to another thread, so few large ones are cheaper. */
const CHUNK_BYTES = 256 * 2 ** 10;

const BROKE_OFF = 'the archive from GitLab broke off';

/**
 * The regular files of a tar.gz archive, as they arrive. GitLab sends status 200 long before it knows whether it can
 * finish, so only the end markers of gzip and tar prove that an archive is complete. Throws Retry if the archive breaks
 * off. Errors of the stream that are Retry or Refuse themselves stay as they are. Leaving the loop early closes the
 * download.
 */
export async function* readArchive(archive: Readable): AsyncGenerator<ArchivedFile> {
  const entries = extract();
  let failure: Error | undefined;
  pipeline(archive, createGunzip({ chunkSize: CHUNK_BYTES }), entries, (error) => {
    failure ??= error ?? undefined;
  });
  try {
    for await (const entry of entries) {
      const { name, type, size } = entry.header;
      if (type === 'file' || type === 'contiguous-file') {
        // The first path element belongs to the archive: project, ref and commit.
        yield { path: name.slice(name.indexOf('/') + 1), size, body: bodyOf(entry as AsyncIterable<Buffer>) };
      }
      // The next entry comes only after the rest of this one was read.
      entry.resume();
    }
  } catch (error) {
    throw asRetry(failure ?? error, BROKE_OFF);
  } finally {
    archive.destroy();
  }
}

async function* bodyOf(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw asRetry(error, BROKE_OFF);
  }
}
