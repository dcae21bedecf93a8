import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { z } from 'zod';
import { asRetry } from '../errors.ts';
import { collect } from '../io/read-body.ts';
import { parseResponse } from './schema.ts';

const streamSchema = z.custom<ReadableStream>((body) => body instanceof globalThis.ReadableStream).nullable();

/** The body of a streamed response, for Node. `subject` names it in errors. */
export function toReadable(body: unknown, subject: string): Readable {
  const stream = parseResponse(streamSchema, body, subject);
  const readable = stream ? Readable.fromWeb(stream) : Readable.from([]);
  // The reader gets the error. Until somebody reads, a lost connection must not end the process.
  return readable.on('error', () => undefined);
}

/** All bytes of a file. Rejects with Refuse above `limit` bytes, and with Retry if the stream breaks off. */
export async function readAtMost(stream: Readable, limit: number, path: string): Promise<Buffer> {
  try {
    return await collect(stream, limit, path);
  } catch (error) {
    throw asRetry(error, `reading ${path} from GitLab broke off`);
  }
}
