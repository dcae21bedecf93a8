import { createHmac, timingSafeEqual } from 'node:crypto';

/** The maximum difference between the clocks. A captured delivery can be replayed for this long. */
const TOLERANCE_MS = 300_000;
/** The maximum number of signatures in a header that are compared. */
const MAX_SIGNATURES = 16;
const MIN_KEY_BYTES = 16;

/** A signed delivery: the values of its headers, and `body` exactly as it was sent. */
export interface SignedDelivery {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  readonly body: Buffer;
}

/**
 * Decodes the key of a signing token, which is `whsec_` followed by base64. Throws an Error if the token is invalid.
 * The message does not contain the token.
 */
export function signingKey(token: string): Buffer {
  const encoded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(token)?.[1];
  const key = Buffer.from(encoded ?? '', 'base64');
  if (key.length < MIN_KEY_BYTES)
    throw new Error('a signing token is "whsec_" followed by at least 16 bytes in base64');
  return key;
}

/**
 * Whether a delivery was signed with one of the keys, at most five minutes before or after `now`, in milliseconds since
 * the epoch. The header may contain several signatures, separated by spaces. One signature of version `v1` must match.
 * Other versions are ignored.
 */
export function isSigned(delivery: SignedDelivery, keys: readonly Buffer[], now: number): boolean {
  const { id, timestamp, signature, body } = delivery;
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp) * 1_000) > TOLERANCE_MS) return false;
  const signatures = signature
    .split(' ')
    .filter((entry) => entry.startsWith('v1,'))
    .slice(0, MAX_SIGNATURES)
    .map((entry) => Buffer.from(entry.slice('v1,'.length), 'base64'));
  return keys.some((key) => {
    const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`, 'latin1').update(body).digest();
    return signatures.some((bytes) => bytes.length === expected.length && timingSafeEqual(bytes, expected));
  });
}
