import { Refuse } from '../errors.ts';

/** Reads all bytes of a small stream. Throws Refuse, which calls the stream `what`, if there are more than `limit` bytes. */
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
