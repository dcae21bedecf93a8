import { FOLDS, LETTERS, PRINTABLE } from './unicode-tables.ts';

/**
 * Implements the character classes and the case folding of Go's `unicode` package. JavaScript's `\p{L}` and
 * `toLowerCase` follow the Unicode version of Node, which is newer than Go's. Lower-casing also differs from simple
 * folding, for example for the Kelvin sign and the dotless i. A checksum must not depend on these differences.
 */

/** Whether a character outside ASCII is a letter (unicode.IsLetter). */
export function isLetter(char: string): boolean {
  return inRanges(letters, char.codePointAt(0) ?? 0);
}

/** Whether a code point is printable (unicode.IsPrint). The printable ASCII characters are space to tilde. */
export function isPrintable(code: number): boolean {
  return code < 0x80 ? code >= 0x20 && code < 0x7f : inRanges(printable, code);
}

/** Whether a code point is a space (unicode.IsSpace). JavaScript also counts the byte order mark as a space. */
export function isSpace(code: number): boolean {
  if (code < 0x100) return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0x85 || code === 0xa0;
  return (code >= 0x2000 && code <= 0x200a) || OTHER_SPACES.has(code);
}

const OTHER_SPACES: ReadonlySet<number> = new Set([0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000]);

/**
 * Folds the case of a text (simple folding). Two names have the same result if and only if they are equal in Go's
 * case-insensitive comparison.
 */
export function foldCase(text: string): string {
  // Nearly all names are in ASCII, where only A-Z have to be folded.
  if (/^\p{ASCII}*$/u.test(text)) return text.toLowerCase();
  return Array.from(text, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return String.fromCodePoint(folds.get(code) ?? code);
  }).join('');
}

/**
 * Decodes a table of alternating gap and run lengths. The result contains the first code point of each run, followed by
 * the first code point after this run.
 */
function decodeRanges(table: string): Uint32Array {
  let code = 0;
  return Uint32Array.from(table.split(' '), (length) => (code += Number.parseInt(length, 36)));
}

function inRanges(boundaries: Uint32Array, code: number): boolean {
  let low = 0;
  let high = boundaries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((boundaries[middle] ?? 0) <= code) low = middle + 1;
    else high = middle;
  }
  return low % 2 === 1;
}

/**
 * Decodes a table of runs, each written as `gap,step,count,delta`. `gap` is the distance from the start of the previous
 * run. A run has `count` code points at intervals of `step`. Each of them folds to itself plus `delta`.
 */
function decodeFolds(table: string): Map<number, number> {
  const map = new Map<number, number>();
  let start = 0;
  for (const run of table.split(' ')) {
    const [gap = 0, step = 0, count = 0, delta = 0] = run.split(',').map((part) => Number.parseInt(part, 36));
    start += gap;
    for (let i = 0; i < count; i++) map.set(start + i * step, start + i * step + delta);
  }
  return map;
}

const letters = decodeRanges(LETTERS);
const printable = decodeRanges(PRINTABLE);
const folds = decodeFolds(FOLDS);
