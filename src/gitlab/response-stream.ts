import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { z } from 'zod';
import { asRetry } from '../errors.ts';
import { collect } from '../io/read-body.ts';
import { parseResponse } from './schema.ts';

const streamSchema = z.custom<ReadableStream>((body) => body instanceof globalThis.ReadableStream).nullable();

/**
 * Converts the body of a streamed response to a Node.js stream. `subject` is the name of the response for error
 * messages.
 */
export function toReadable(body: unknown, subject: string): Readable {
  const stream = parseResponse(streamSchema, body, subject);
  const readable = stream ? Readable.fromWeb(stream) : Readable.from([]);
  // The reader also gets the error. Without this listener, a connection that is lost before anyone reads would end the
  // process.
  return readable.on('error', () => undefined);
}

/**
 * Reads a stream to its end. Rejects with Refuse if it has more than `limit` bytes, and with Retry if it is truncated.
 * `path` is for messages.
 */
export async function readAtMost(stream: Readable, limit: number, path: string): Promise<Buffer> {
  try {
    return await collect(stream, limit, path);
  } catch (error) {
    throw asRetry(error, `the download of ${path} from GitLab was interrupted`);
  }
}
