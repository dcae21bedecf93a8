import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Whether `given` is one of the tokens. The duration of the comparison depends neither on the content nor on the length
 * of the tokens.
 */
export function isToken(given: string, tokens: readonly string[]): boolean {
  // Node decodes the bytes of a header as Latin-1, regardless of their encoding.
  const givenDigest = digest(Buffer.from(given, 'latin1'));
  return tokens.map((token) => timingSafeEqual(digest(Buffer.from(token)), givenDigest)).includes(true);
}

/** A digest has the same length for every input, which timingSafeEqual requires. */
function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
