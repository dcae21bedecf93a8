import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';

/** A connection on which no byte arrives for this long counts as dead. */
const IDLE_MS = 120_000;

/**
 * Gets a URL as fetch does, but with back-pressure on the body. The fetch of Node 20 has none: if the reader is slower than
 * the network, fetch reads the whole of a chunked body into memory, and copies all of it for every chunk. Does not follow
 * redirects. Rejects if there is no response. If the body breaks off, its reader gets the error.
 */
export async function httpGet(
  url: URL,
  { headers, signal }: { headers: Record<string, string>; signal: AbortSignal },
): Promise<Response> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const message = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = send(url, { headers, signal, timeout: IDLE_MS }, resolve);
    request.on('timeout', () => request.destroy(new Error(`no data for ${IDLE_MS / 1000} s`)));
    request.on('error', reject).end();
  });
  const body = Readable.toWeb(message) as ReadableStream & globalThis.ReadableStream;
  const responseHeaders = Object.entries(message.headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  );
  return new Response(body, { status: message.statusCode ?? 0, headers: responseHeaders });
}
