import { FOLDS, LETTERS, PRINTABLE } from './unicode-tables.ts';

/**
 * The character classes and the case folding of Go's `unicode` package. JavaScript's (`\p{L}`, `toLowerCase`) follow the
 * Unicode version of Node, which is newer than Go's, and lower-casing differs from simple folding (the Kelvin sign, the
 * dotless i). A checksum must depend on neither.
 */

/** unicode.IsLetter for one character outside ASCII. */
export function isLetter(char: string): boolean {
  return inRanges(letters, char.codePointAt(0) ?? 0);
}

/** unicode.IsPrint for one character; in ASCII, these are space to tilde. */
export function isPrint(char: string): boolean {
  const code = char.codePointAt(0) ?? 0;
  return code < 0x80 ? code >= 0x20 && code < 0x7f : inRanges(printable, code);
}

/** Folds the case of a text (simple folding). Two names have the same result exactly if Go considers them equal. */
export function foldCase(text: string): string {
  // Nearly all names are ASCII, in which only A-Z have to be folded.
  if (/^\p{ASCII}*$/u.test(text)) return text.toLowerCase();
  return Array.from(text, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return String.fromCodePoint(folds.get(code) ?? code);
  }).join('');
}

/** Decodes a table of alternating gap and run lengths. The result has the first code point of each run and of each gap after it. */
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

/** Decodes runs of `gap,step,count,delta`: `count` code points, `step` apart, each of which folds to itself plus `delta`. */
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
