/**
 * What a key may look like, the same for every store, so that what works on a developer's disk works in a bucket.
 *
 * The limits are the narrowest of those we meet: 255 bytes for a file name (ext4, XFS, APFS, MinIO) and 1,024 bytes
 * for a whole key (S3), counted in UTF-8.
 */

const MAX_ELEMENT_BYTES = 255;
const MAX_KEY_BYTES = 1024;

/** First element of the keys a store keeps for itself: partial files, and the object that `check` writes. */
export const RESERVED = '.tmp';

/**
 * Why the text cannot be a key of the contract in store.ts, or undefined if it can.
 * A backslash is refused because some systems read it as a `/`.
 */
function fault(key: string): string | undefined {
  const elements = key.split('/');
  if (elements.includes('')) return 'has an empty element';
  if (elements.includes('.') || elements.includes('..')) return 'has a "." or ".." element';
  if (elements[0] === RESERVED) return `begins with the reserved element "${RESERVED}"`;
  if (/[\0\\]/.test(key)) return 'contains a NUL or a backslash';
  if (!key.isWellFormed()) return 'is not well-formed Unicode';
  return undefined;
}

/** Whether the text is a key. */
export function isKey(text: string): boolean {
  return fault(text) === undefined;
}

/** Throws TypeError unless the text is a key. */
export function checkKey(key: string): void {
  const reason = fault(key);
  if (reason !== undefined) throw new TypeError(`the store key ${JSON.stringify(key)} ${reason}`);
}

/** Throws TypeError unless some key can start with the text. The last element may be unfinished, or empty. */
export function checkPrefix(prefix: string): void {
  checkKey(`${prefix}x`);
}

/** Whether the key is short enough to be stored. One that is not can never be there, so reading it finds nothing. */
export function fits(key: string): boolean {
  return (
    Buffer.byteLength(key) <= MAX_KEY_BYTES &&
    key.split('/').every((element) => Buffer.byteLength(element) <= MAX_ELEMENT_BYTES)
  );
}

/** A key is longer than a store can have: no attempt to write it will ever succeed. */
export class KeyTooLong extends TypeError {
  override readonly name = 'KeyTooLong';

  constructor(key: string) {
    super(
      `the store key ${JSON.stringify(key)} is too long: at most ${MAX_KEY_BYTES} bytes, and ${MAX_ELEMENT_BYTES} between two slashes`,
    );
  }
}

/** Throws TypeError unless an object can be stored under the key; KeyTooLong if that is the reason. */
export function checkNewKey(key: string): void {
  checkKey(key);
  if (!fits(key)) throw new KeyTooLong(key);
}

/** Order of two keys by their UTF-8 bytes: JavaScript's own order differs outside the basic plane. */
export function compareKeys(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
