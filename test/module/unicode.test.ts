import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { FOLDS, LETTERS, PRINTABLE } from '../../src/module/unicode-tables.ts';
import { foldCase, isLetter, isPrintable } from '../../src/module/unicode.ts';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

test('the Unicode tables are equal to the tables of the installed Go', () => {
  const { stdout, stderr } = spawnSync('go', ['run', file('unicode/tables.go')], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(readFileSync(file('../../src/module/unicode-tables.ts'), 'utf8')).toBe(stdout);
});

test('every code point has the class that the Unicode tables define', () => {
  expect(runs(isLetter)).toBe(LETTERS);
  expect(runs((char) => isPrintable(char.codePointAt(0) ?? 0))).toBe(PRINTABLE);
});

test('foldCase uses simple case folding, not lower-casing', () => {
  expect(foldCase('ABCxyz09')).toBe('abcxyz09');
  expect(foldCase('\u212a')).toBe('k');
  expect(foldCase('ſ')).toBe(foldCase('S'));
  expect(foldCase('ς')).toBe(foldCase('Σ'));
  expect(foldCase('ẞ')).toBe(foldCase('ß'));
  expect(foldCase('ı')).not.toBe(foldCase('i'));
  expect(foldCase('İ')).not.toBe(foldCase('i'));
  expect(FOLDS.split(' ').length).toBeGreaterThan(100);
});

/** Returns the lengths of alternating gaps and runs of a class outside ASCII, in the format of the tables. */
function runs(inClass: (char: string) => boolean): string {
  const lengths: string[] = [];
  let start = 0;
  let state = false;
  for (let code = 0x80; code <= 0x110000; code++) {
    const now = code < 0x110000 && inClass(String.fromCodePoint(code));
    if (now === state) continue;
    lengths.push((code - start).toString(36));
    start = code;
    state = now;
  }
  return lengths.join(' ');
}
