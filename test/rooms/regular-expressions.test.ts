import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RegExpParser, visitRegExpAST, type AST } from '@eslint-community/regexpp';
import { parseSync } from '@swc/core';
import { analyse } from 'scslre';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';

/**
 * Every regular expression of src/ must take linear time, because most of them meet texts that strangers write. The
 * expressions are read from the source, so that a new one cannot be forgotten.
 */

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url));
/** The size of the inputs among which the slowest one is searched, in characters. */
const SMALL = 5_000;
/** The maximum time for such an input, in milliseconds. */
const MAX_SMALL_MS = 20;
/**
 * The sizes of the inputs with which an expression is timed, in characters. Quadratic time exceeds the limit at the
 * first size already, and would take minutes at the second.
 */
const SIZES = [100_000, 1_000_000];
/** The maximum time for each of these inputs, in milliseconds. */
const MAX_MS = 300;

interface Found {
  readonly file: string;
  readonly literal: string;
  readonly pattern: string;
  readonly flags: string;
}

const literal = z.object({ type: z.literal('RegExpLiteral'), pattern: z.string(), flags: z.string() });
const constructed = z.object({ callee: z.object({ type: z.literal('Identifier'), value: z.literal('RegExp') }) });

const { expressions, constructions } = readSource();

test('no regular expression is built at run time, because it could not be checked', () => {
  expect(constructions).toEqual([]);
  expect(expressions.length).toBeGreaterThan(50);
});

describe('the check', () => {
  test.each(['^(a+)+$', '^\\/+|\\/+$', '<([^>]+)>;', '^\\s*(.*?)\\s*$', '^x*x*$'])(
    'finds the super-linear structure of %s',
    (pattern) => {
      expect(superLinear({ file: '', literal: pattern, pattern, flags: '' })).not.toEqual([]);
    },
  );

  test.each(['^\\/+|\\/+$', '<([^>]+)>;', '^x*x*$'])('finds a slow input for %s', (pattern) => {
    expect(slowest({ file: '', literal: pattern, pattern, flags: '' }).ms).toBeGreaterThan(MAX_SMALL_MS / 4);
  });
});

describe.each(expressions)('$literal in $file', (found) => {
  test('takes linear time by its structure', () => {
    expect(superLinear(found)).toEqual([]);
  });

  test('takes little time on its worst input', () => {
    const { input, ms } = slowest(found);
    expect(ms, JSON.stringify(input(20))).toBeLessThan(MAX_SMALL_MS);
    const regex = new RegExp(found.pattern, found.flags);
    for (const size of SIZES) {
      const text = input(size);
      // Another program may have used the processor during one of the attempts.
      expect(Math.min(time(regex, text), time(regex, text), time(regex, text))).toBeLessThan(MAX_MS);
    }
  });
});

/** Returns the regular expressions of src/, and the places that build one at run time. */
function readSource(): { readonly expressions: Found[]; readonly constructions: string[] } {
  const found = new Map<string, Found>();
  const built: string[] = [];
  for (const file of readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  )) {
    const visit = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      const { data } = literal.safeParse(node);
      if (data) {
        const text = `/${data.pattern}/${data.flags}`;
        found.set(`${file} ${text}`, { file, literal: text, pattern: data.pattern, flags: data.flags });
      }
      if (constructed.safeParse(node).success) built.push(file);
      for (const child of Object.values(node)) visit(child);
    };
    visit(parseSync(readFileSync(join(SOURCE, file), 'utf8'), { syntax: 'typescript', target: 'es2024' }).body);
  }
  return { expressions: [...found.values()], constructions: built };
}

/** Returns the parts of an expression that can take quadratic time or more. */
function superLinear({ pattern, flags }: Found): string[] {
  const { reports } = analyse({ source: pattern, flags }, { reportTypes: { Move: true, Self: true, Trade: true } });
  return reports.map(({ type }) => type);
}

type Input = (characters: number) => string;

/** Returns the input for which an expression takes the longest time, and the time for SMALL characters. */
function slowest({ pattern, flags }: Found): { readonly input: Input; readonly ms: number } {
  const regex = new RegExp(pattern, flags);
  let worst: { readonly input: Input; readonly ms: number } = { input: (length) => 'x'.repeat(length), ms: 0 };
  for (const input of inputsOf(new RegExpParser().parsePattern(pattern, 0, pattern.length, flags.includes('u')))) {
    const text = input(SMALL);
    let ms = time(regex, text);
    if (ms <= worst.ms) continue;
    // Another program may have used the processor, or the expression was compiled.
    ms = Math.min(ms, time(regex, text), time(regex, text));
    if (ms > worst.ms) worst = { input, ms };
    if (ms > MAX_SMALL_MS) break;
  }
  return worst;
}

function time(regex: RegExp, text: string): number {
  const started = performance.now();
  if (regex.global) text.replace(regex, '');
  else regex.exec(text);
  return performance.now() - started;
}

/**
 * Generates inputs that repeat some characters of the expression at some place of a text that the expression matches,
 * so that the rest of the text does not match any more.
 */
function* inputsOf(pattern: AST.Pattern): Generator<Input> {
  const characters = new Set(['x']);
  const add = (node: AST.Element): void => void characters.add(sampleOf(node));
  visitRegExpAST(pattern, { onCharacterEnter: add, onCharacterSetEnter: add, onExpressionCharacterClassEnter: add });
  const few = [...characters].filter((character) => character !== '').slice(0, 6);
  const pumps = [...few, ...few.flatMap((one) => few.filter((other) => other !== one).map((other) => one + other))];
  for (const { elements } of pattern.alternatives) {
    const samples = elements.map(sampleOf);
    for (const place of [...samples.keys(), samples.length].slice(-MAX_PLACES)) {
      const [before, after] = [samples.slice(0, place).join(''), samples.slice(place).join('')];
      for (const pump of pumps)
        for (const [start, end] of [['', ''] as const, ['', '\n\0'] as const, ['x', '\n\0'] as const])
          yield (length) => start + before + pump.repeat(Math.ceil(length / pump.length)) + after + end;
    }
  }
}

/** The maximum number of places in an expression at which characters are repeated. */
const MAX_PLACES = 12;

/** Returns a short text that an element matches, or an empty text if it matches no character. */
function sampleOf(node: AST.Element): string {
  switch (node.type) {
    case 'Character':
      return String.fromCodePoint(node.value);
    case 'CharacterSet':
    case 'CharacterClass':
    case 'ExpressionCharacterClass': {
      const one = new RegExp(`^${node.raw}$`, 'us');
      const candidates = Array.from(`a1A/ -.!_\n\u00e9\u0000${node.raw}`, (character) => character);
      return candidates.find((character) => one.test(character)) ?? '';
    }
    case 'Quantifier':
      return sampleOf(node.element).repeat(Math.min(node.max, Math.max(1, node.min)));
    case 'Group':
    case 'CapturingGroup':
      return node.alternatives[0]?.elements.map(sampleOf).join('') ?? '';
    case 'Assertion':
    case 'Backreference':
      break;
  }
  return '';
}
