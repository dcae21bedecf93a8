import { createHash, type Hash } from 'node:crypto';

/**
 * Creates the hash for the blob id of a file of `size` bytes, and adds the header of a blob to the hash. `idLength` is
 * the number of hexadecimal digits of the repository's object ids: 40 or 64.
 */
export function blobHash(idLength: number, size: number): Hash {
  return createHash(idLength === 64 ? 'sha256' : 'sha1').update(`blob ${size}\0`);
}
