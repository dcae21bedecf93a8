import { createHmac, timingSafeEqual } from 'node:crypto';

/** How far the clocks may be apart, and how old a captured delivery may be, in milliseconds. */
const TOLERANCE_MS = 300_000;

/** The parts of a signed delivery, as its headers have them. `body` is exactly what was sent. */
export interface SignedDelivery {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  readonly body: Buffer;
}

/**
 * The key inside a signing token, `whsec_` and base64. Throws on anything else, with a message that does not show
 * the token.
 */
export function signingKey(token: string): Buffer {
  const encoded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(token)?.[1];
  const key = Buffer.from(encoded ?? '', 'base64');
  if (key.length < 16) throw new Error('a signing token is "whsec_" followed by at least 16 bytes in base64');
  return key;
}

/**
 * Whether the delivery was signed with one of the keys no more than five minutes from `now` (milliseconds since
 * 1970). There may be several signatures, separated by spaces, of which one has to be right; only those of version
 * `v1` are looked at.
 */
export function isSigned(delivery: SignedDelivery, keys: readonly Buffer[], now: number): boolean {
  const { id, timestamp, signature, body } = delivery;
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp) * 1_000) > TOLERANCE_MS) return false;
  const given = signature
    .split(' ')
    .filter((each) => each.startsWith('v1,'))
    .slice(0, 16)
    .map((each) => Buffer.from(each.slice(3), 'base64'));
  return keys.some((key) => {
    const right = createHmac('sha256', key).update(`${id}.${timestamp}.`, 'latin1').update(body).digest();
    return given.some((bytes) => bytes.length === right.length && timingSafeEqual(bytes, right));
  });
}
