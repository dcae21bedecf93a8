import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';

/** A connection on which nothing has come for so long is dead. In milliseconds. */
const IDLE_MS = 120_000;

/**
 * Gets a URL as fetch would, with a body that waits for its reader. fetch itself does not: when a reader is slower than
 * the network, Node 20's goes on reading a chunked body into memory, the whole of it if need be, and copies all that
 * it holds for every chunk. Redirects are not followed. Rejects when no answer comes; a body that breaks off fails in
 * its reader.
 */
export async function httpGet(
  url: URL,
  { headers, signal }: { headers: Record<string, string>; signal: AbortSignal },
): Promise<Response> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const message = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = send(url, { headers, signal, timeout: IDLE_MS }, resolve);
    request.on('timeout', () => request.destroy(new Error(`nothing came for ${IDLE_MS / 1000} s`)));
    request.on('error', reject).end();
  });
  const body = Readable.toWeb(message) as ReadableStream & globalThis.ReadableStream;
  const received = Object.entries(message.headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  );
  return new Response(body, { status: message.statusCode ?? 0, headers: received });
}
