import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Whether `given` is one of the tokens, compared in constant time: the duration does not depend on the tokens, their
 * lengths included.
 */
export function isToken(given: string, tokens: readonly string[]): boolean {
  // Node reads header bytes as Latin-1, whatever they are.
  const wanted = digest(Buffer.from(given, 'latin1'));
  return tokens.map((token) => timingSafeEqual(digest(Buffer.from(token)), wanted)).includes(true);
}

/** A digest has the same length for every input, which timingSafeEqual requires. */
function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
