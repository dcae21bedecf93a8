import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MUTANTS } from './mutants.ts';
import { findPassage, replacePassage } from './passage.ts';

describe('a passage', () => {
  it.each([
    ['on one line', 'if (a && b) return c;'],
    ['broken after an operator and indented', 'if (a &&\n      b)\n  return c;'],
    ['broken after a bracket, with a comma after the last line', 'if (\n  a &&\n  b,\n) return c;'],
    ['without spaces', 'if(a&&b)return c;'],
  ])('is found %s', (_, source) => {
    expect(findPassage(`first(); ${source} last();`, 'if (a && b) return c;')).toEqual([
      { start: 9, end: 9 + source.length },
    ]);
  });

  it.each([
    ['a word that is divided in two', 'if (a && b) re turn c;'],
    ['two words in one', 'if (a && b) returnc;'],
    ['other signs', 'if (a || b) return c;'],
    ['a string with other white space', "if (a && b) return  'x  y';"],
  ])('is not found in %s', (_, source) => {
    expect(findPassage(source, source.includes("'") ? "return 'x y'" : 'if (a && b) return c;')).toEqual([]);
  });

  it('matches special characters of regular expressions literally', () => {
    expect(findPassage('x = /[a-z]+(?:\\.\\d)*$/;', '/[a-z]+(?:\\.\\d)*$/')).toHaveLength(1);
    expect(findPassage('x = /abc/;', '/[a-z]+/')).toEqual([]);
  });

  it('is replaced by exactly the replacement, and nothing else changes', () => {
    expect(replacePassage('a;\n  b(\n    c,\n  );\nd;', 'b(c)', '$&')).toBe('a;\n  $&;\nd;');
  });

  it('is not replaced if it occurs twice or never', () => {
    expect(replacePassage('b(c); b( c );', 'b(c)', 'x')).toBeUndefined();
    expect(replacePassage('b(d);', 'b(c)', 'x')).toBeUndefined();
  });
});

describe('the passage of each mutant', () => {
  it.each(MUTANTS.map(({ file, breaks, find }) => [`${file}: ${breaks}`, file, find] as const))(
    'occurs exactly once in the source: %s',
    (_, file, find) => {
      const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
      expect(findPassage(source, find)).toHaveLength(1);
    },
  );
});
