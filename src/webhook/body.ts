import type { IncomingMessage } from 'node:http';

/** A body that is not read. The status and the message are for the response. */
export class BodyRefused extends Error {
  override readonly name = 'BodyRefused';
  readonly status: 400 | 408 | 413 | 415 | 503;

  constructor(status: BodyRefused['status'], message: string) {
    super(message);
    this.status = status;
  }
}

/** The largest body that GitLab sends. */
const MAX_BODY_BYTES = 25 * 1_024 * 1_024;
/** A webhook delivery of GitLab fails after 10 s without progress, and after 30 s in all (lib/gitlab/http.rb). */
const MAX_DURATION_MS = 30_000;
/** Most deliveries are smaller than this. */
const SMALL_BODY_BYTES = 65_536;

/**
 * Reads request bodies into memory, at most `maxBytes` of them at the same time, over all connections. Larger bodies
 * may use only half of this memory, so that they cannot keep small ones out.
 */
export class BodyReader {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Reads the body of a request, calls `onChunk` with each chunk as it arrives, and then `use` with the whole body.
   * Resolves as `use` does. The body counts as memory in use until then. Rejects with BodyRefused if the body is not
   * complete in time, is too large, is compressed, or if there is not enough memory.
   *
   * Bodies are not decompressed: GitLab does not compress them, and a signature covers the bytes that were sent.
   */
  async read<T>(
    request: IncomingMessage,
    onChunk: (chunk: Buffer) => void,
    use: (body: Buffer) => Promise<T>,
  ): Promise<T> {
    if ((request.headers['content-encoding'] ?? 'identity') !== 'identity')
      throw new BodyRefused(415, 'the body must not be compressed');
    let reserved = 0;
    try {
      const body = await collect(request, (chunk, size) => {
        this.#reserve(chunk.length, size);
        reserved += chunk.length;
        onChunk(chunk);
      });
      return await use(body);
    } finally {
      this.#bytes -= reserved;
    }
  }

  #reserve(bytes: number, size: number): void {
    const maxBytes = size > SMALL_BODY_BYTES ? this.#maxBytes / 2 : this.#maxBytes;
    if (this.#bytes + bytes > maxBytes)
      throw new BodyRefused(503, 'too many deliveries are arriving at the same time; try again later');
    this.#bytes += bytes;
  }
}

function tooLarge(): BodyRefused {
  return new BodyRefused(413, 'the body is larger than 25 MB');
}

/** `onChunk` receives each chunk and the size of the body so far. If it throws, reading ends with its error. */
async function collect(request: IncomingMessage, onChunk: (chunk: Buffer, size: number) => void): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new BodyRefused(408, 'the body took too long to arrive')), MAX_DURATION_MS);
      request
        .on('data', (chunk: Buffer) => {
          size += chunk.length;
          try {
            if (size > MAX_BODY_BYTES) throw tooLarge();
            onChunk(chunk, size);
            chunks.push(chunk);
          } catch (error) {
            reject(error);
          }
        })
        .once('end', resolve)
        .once('error', () => reject(new BodyRefused(400, 'the body is incomplete')));
    });
    return Buffer.concat(chunks);
  } finally {
    clearTimeout(timer);
    chunks.length = 0;
    // The rest of a refused body is not read here. Node discards it after the response.
    request.removeAllListeners('data').pause();
  }
}
