/**
 * The rules for keys. They are the same for all stores, so that a key that works on a developer's disk also works in a
 * bucket.
 *
 * The limits are the lowest of all supported stores, counted in UTF-8. A file name may have 255 bytes (ext4, XFS, APFS,
 * MinIO), and a whole key 1,024 bytes (S3).
 */

const MAX_ELEMENT_BYTES = 255;
const MAX_KEY_BYTES = 1024;

/** The first element of keys that a store uses internally: partial files, and the object that `check` writes. */
export const RESERVED = '.tmp';

/**
 * Returns why the text is not a key by the contract in store.ts, or undefined for a key. A backslash is not allowed,
 * because some systems treat it as a `/`.
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

/** Returns whether the text is a key. */
export function isKey(text: string): boolean {
  return fault(text) === undefined;
}

/** Throws TypeError unless the text is a key. */
export function checkKey(key: string): void {
  const reason = fault(key);
  if (reason !== undefined) throw new TypeError(`the store key ${JSON.stringify(key)} ${reason}`);
}

/** Throws TypeError unless a key can start with the text. The last element may be incomplete or empty. */
export function checkPrefix(prefix: string): void {
  checkKey(`${prefix}x`);
}

/**
 * Returns whether the key is short enough to be stored. No object can have a longer key, so a read of a longer key
 * finds nothing.
 */
export function fits(key: string): boolean {
  return (
    Buffer.byteLength(key) <= MAX_KEY_BYTES &&
    key.split('/').every((element) => Buffer.byteLength(element) <= MAX_ELEMENT_BYTES)
  );
}

/** The key is too long for a store. No attempt to write it can succeed. */
export class KeyTooLong extends TypeError {
  override readonly name = 'KeyTooLong';

  constructor(key: string) {
    super(
      `the store key ${JSON.stringify(key)} is too long; the limits are ${MAX_KEY_BYTES} bytes, and ${MAX_ELEMENT_BYTES} bytes between two slashes`,
    );
  }
}

/**
 * Throws TypeError unless an object can be stored under the key. For a key that is too long, the error is KeyTooLong.
 */
export function checkNewKey(key: string): void {
  checkKey(key);
  if (!fits(key)) throw new KeyTooLong(key);
}

/** The UTF-8 bytes of such a text have the order of its UTF-16 units. */
const ASCII = /^[\0-\x7f]*$/;

/**
 * Compares two keys by their UTF-8 bytes. JavaScript compares UTF-16 units, so its order differs outside the Basic
 * Multilingual Plane.
 */
export function compareKeys(left: string, right: string): number {
  if (ASCII.test(left) && ASCII.test(right)) return left < right ? -1 : Number(left > right);
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
