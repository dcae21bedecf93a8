import { Refuse } from '../errors.ts';

/** All bytes of a stream that is meant to be small. Throws Refuse, naming `what`, beyond `limit` bytes. */
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
