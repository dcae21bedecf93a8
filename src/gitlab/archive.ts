import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { asRetry, Refuse, Retry } from '../errors.ts';
import { InvalidResponse } from './invalid-response.ts';

/**
 * A regular file in an archive. `path` is relative to the root of the repository. `body` can be read only until the
 * loop continues with the next file.
 */
export interface ArchivedFile {
  readonly path: string;
  readonly size: number;
  readonly body: AsyncIterable<Buffer>;
}

/**
 * The size of the chunks from gunzip, in bytes. Each chunk needs a round trip to another thread, so a few large chunks
 * are faster.
 */
const CHUNK_BYTES = 256 * 2 ** 10;

/** The message of tar-stream for a header of more than 4 MiB, which it does not read into memory. */
const HEADER_TOO_LARGE = 'Header exceeds max size';

const BROKE_OFF = 'the archive from GitLab is truncated or damaged';

/**
 * Yields the regular files of a tar.gz archive while it is downloaded. GitLab sends status 200 before the archive is
 * complete, so only the end markers of gzip and tar prove that it is complete. Throws Retry if the archive is
 * truncated. Throws a Retry or Refuse of the stream unchanged. Leaving the loop early closes the download.
 *
 * Ends before a symlink whose target has more than 4 MiB, which the go command accepts. The caller makes the other files
 * from their blobs, as it does with all files that an archive lacks.
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
        // The first path element is the archive's own directory, named after project, ref and commit.
        yield { path: name.slice(name.indexOf('/') + 1), size, body: bodyOf(entry as AsyncIterable<Buffer>) };
      }
      // The next entry arrives only after the rest of this entry has been read.
      entry.resume();
    }
  } catch (error) {
    if (error instanceof Error && error.message === HEADER_TOO_LARGE) return;
    throw brokenOff(failure ?? error);
  } finally {
    archive.destroy();
  }
}

async function* bodyOf(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw brokenOff(error);
  }
}

/**
 * Returns the error to throw after a read of the archive has failed. An error of the network or of the disk has a code.
 * Errors of the formats have no code, or one of zlib.
 */
function brokenOff(error: unknown): Refuse | Retry {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'Z_';
  return code.startsWith('Z_') && !(error instanceof Refuse || error instanceof Retry)
    ? new InvalidResponse(BROKE_OFF, { cause: error })
    : asRetry(error, BROKE_OFF);
}
