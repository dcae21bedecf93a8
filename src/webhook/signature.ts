import { createHmac, timingSafeEqual, type Hmac } from 'node:crypto';

/** The maximum difference between the clocks. A captured delivery can be replayed for this long. */
const TOLERANCE_MS = 300_000;
/** The maximum number of signatures in a header that are compared. */
const MAX_SIGNATURES = 16;
const MIN_KEY_BYTES = 16;
/** A signature of version 1: a SHA-256 HMAC, which has 32 bytes, in base64. */
const SIGNATURE = /^v1,[A-Za-z0-9+/]{43}=$/;

/** The headers of a signed delivery. */
export interface SignatureHeaders {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
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
 * Checks the signature of one delivery while its body arrives. The header may contain several signatures, separated by
 * spaces. One signature of version `v1` must match one of the keys. Other versions are ignored.
 */
export class SignatureCheck {
  readonly #signatures: readonly Buffer[];
  readonly #hmacs: readonly Hmac[];

  private constructor(signatures: readonly Buffer[], hmacs: readonly Hmac[]) {
    this.#signatures = signatures;
    this.#hmacs = hmacs;
  }

  /**
   * Starts the check. Returns undefined if the headers alone show that the delivery is not valid: no signature has the
   * right form, or the timestamp differs by more than five minutes from `now`, which is in milliseconds since the
   * epoch.
   */
  static start({ id, timestamp, signature }: SignatureHeaders, keys: readonly Buffer[], now: number) {
    if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp) * 1_000) > TOLERANCE_MS) return undefined;
    const signatures = signature
      .split(' ', MAX_SIGNATURES)
      .filter((entry) => SIGNATURE.test(entry))
      .map((entry) => Buffer.from(entry.slice('v1,'.length), 'base64'));
    if (signatures.length === 0) return undefined;
    const hmacs = keys.map((key) => createHmac('sha256', key).update(`${id}.${timestamp}.`, 'latin1'));
    return new SignatureCheck(signatures, hmacs);
  }

  /** Adds the next chunk of the body, exactly as it was sent. */
  update(chunk: Buffer): void {
    for (const hmac of this.#hmacs) hmac.update(chunk);
  }

  /** Whether the delivery is signed. May be called once, after the last chunk. */
  isValid(): boolean {
    const digests = this.#hmacs.map((hmac) => hmac.digest());
    return digests.some((digest) => this.#signatures.some((signature) => timingSafeEqual(signature, digest)));
  }
}
