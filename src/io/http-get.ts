import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';

/** The timeout of a connection on which no data arrives, in milliseconds. */
const IDLE_MS = 120_000;

/**
 * Sends a GET request as fetch does, but with backpressure on the response body. The fetch of Node 20 has no
 * backpressure. If the reader is slower than the network, fetch reads a whole chunked body into memory, and copies all
 * of it for each chunk.
 *
 * Does not follow redirects. Rejects if there is no response. If the connection fails later, the reader of the body
 * gets the error.
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
