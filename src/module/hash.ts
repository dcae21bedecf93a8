import { createHash } from 'node:crypto';

declare const h1Brand: unique symbol;

/** A checksum as go.sum holds it: `h1:` and a base64 SHA-256. */
export type H1 = string & { readonly [h1Brand]: true };

/** One hashed file: the name that goes into the sum, and the hex SHA-256 of its bytes. */
export interface FileDigest {
  readonly name: string;
  readonly sha256: string;
}

/**
 * The h1 of a set of files (dirhash.Hash1): the SHA-256 of one line for each, sorted by the bytes of the name.
 * UTF-16 order, JavaScript's own, differs from it beyond the Basic Multilingual Plane.
 */
export function hashFiles(files: readonly FileDigest[]): H1 {
  const sum = createHash('sha256');
  for (const file of files.toSorted((a, b) => compareBytes(a.name, b.name))) {
    sum.update(`${file.sha256}  ${file.name}\n`);
  }
  return `h1:${sum.digest('base64')}` as H1;
}

/** The h1 of a go.mod, the `/go.mod` line of go.sum. */
export function hashGoMod(gomod: Buffer): H1 {
  return hashFiles([{ name: 'go.mod', sha256: createHash('sha256').update(gomod).digest('hex') }]);
}

/** Orders two strings by their UTF-8 bytes, as git and Go do. */
export function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  // Below the surrogates, UTF-16 order and byte order agree, and this is the faster way.
  if (!SURROGATES.test(a) && !SURROGATES.test(b)) return a < b ? -1 : 1;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

const SURROGATES = /[\ud800-\udfff]/;
