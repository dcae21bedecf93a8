import { Refuse } from '../errors.ts';

/**
 * Reads a small stream into memory. Throws Refuse if the stream has more than `limit` bytes. `what` names the stream in
 * the error message.
 */
export async function collect(body: AsyncIterable<Buffer>, limit: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw new Refuse(`${what} is larger than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}
