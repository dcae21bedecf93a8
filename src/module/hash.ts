import { createHash } from 'node:crypto';

declare const h1Brand: unique symbol;

/** A checksum in the format of go.sum: `h1:`, followed by a SHA-256 in base64. */
export type H1 = string & { readonly [h1Brand]: true };

/** The digest of a file: its name, which is part of the checksum, and the hexadecimal SHA-256 of its bytes. */
export interface FileDigest {
  readonly name: string;
  readonly sha256: string;
}

/**
 * Computes the h1 of a set of files (dirhash.Hash1). It is the SHA-256 of one line for each file, in byte order of the
 * names. JavaScript sorts strings by UTF-16 code units, and this order differs outside the Basic Multilingual Plane.
 */
export function hashFiles(files: readonly FileDigest[]): H1 {
  const sum = createHash('sha256');
  for (const file of files.toSorted((a, b) => compareBytes(a.name, b.name))) {
    sum.update(`${file.sha256}  ${file.name}\n`);
  }
  return `h1:${sum.digest('base64')}` as H1;
}

/** Computes the h1 of a go.mod, as in the `/go.mod` lines of go.sum. */
export function hashGoMod(gomod: Buffer): H1 {
  return hashFiles([{ name: 'go.mod', sha256: createHash('sha256').update(gomod).digest('hex') }]);
}

/**
 * Compares two strings by their UTF-8 bytes, as git and Go do. Returns a negative number, zero, or a positive number.
 */
export function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  // Without surrogates, the order of UTF-16 code units equals the order of bytes, and is faster to compute.
  if (!SURROGATES.test(a) && !SURROGATES.test(b)) return a < b ? -1 : 1;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

const SURROGATES = /[\ud800-\udfff]/;
