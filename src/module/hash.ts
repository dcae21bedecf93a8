import { createHash } from 'node:crypto';
import { inSlices, isSliceOver, nextSlice } from '../async/in-slices.ts';
import { sortInSlices } from '../async/sort-in-slices.ts';

declare const h1Brand: unique symbol;

/** A checksum in the format of go.sum: `h1:`, followed by a SHA-256 in base64. */
export type H1 = string & { readonly [h1Brand]: true };

/** The digest of a file: its name, which is part of the checksum, and the hexadecimal SHA-256 of its bytes. */
export interface FileDigest {
  readonly name: string;
  readonly sha256: string;
}

/**
 * Computes the h1 of files (dirhash.Hash1), which are added one by one in byte order of their names. It is the SHA-256
 * of one line for each file.
 */
export class H1Sum {
  readonly #sum = createHash('sha256');
  #lastName = '';

  /** Adds the next file. Throws Error if the files are not in byte order. */
  add({ name, sha256 }: FileDigest): void {
    if (compareBytes(this.#lastName, name) > 0)
      throw new Error(`${JSON.stringify(name)} comes before ${JSON.stringify(this.#lastName)} in byte order`);
    this.#sum.update(`${sha256}  ${name}\n`);
    this.#lastName = name;
  }

  /** Returns the h1 of the added files. No file can be added afterwards. */
  digest(): H1 {
    return `h1:${this.#sum.digest('base64')}` as H1;
  }
}

/**
 * Computes the h1 of a set of files in any order. JavaScript sorts strings by UTF-16 code units, and this order differs
 * from the byte order outside the Basic Multilingual Plane.
 */
export async function hashFiles(files: readonly FileDigest[]): Promise<H1> {
  const sum = new H1Sum();
  for (const file of await inSlices(sortInSlices(files, (a, b) => compareBytes(a.name, b.name)))) {
    if (isSliceOver()) await nextSlice();
    sum.add(file);
  }
  return sum.digest();
}

/** Computes the h1 of a go.mod, as in the `/go.mod` lines of go.sum. */
export function hashGoMod(gomod: Buffer): H1 {
  return hashOne({ name: 'go.mod', sha256: createHash('sha256').update(gomod).digest('hex') });
}

/** Computes the h1 of a single file. */
export function hashOne(file: FileDigest): H1 {
  const sum = new H1Sum();
  sum.add(file);
  return sum.digest();
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
