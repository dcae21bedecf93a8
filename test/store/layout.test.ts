import { describe, expect, test } from 'vitest';
import { deletedTagKey, outcomeKey, outcomesOfTagPrefix, parseOutcomeKey } from '../../src/store/layout.ts';
import { fits } from '../../src/store/key.ts';

/** 40 digits, and the 64 of a repository with SHA-256. */
describe.each([40, 64])('the outcomes of a repository whose commits have %i digits', (digits) => {
  const commit = '0123456789abcdef'.repeat(4).slice(0, digits);
  const tags = Array.from({ length: 300 }, (_, index) => [
    `a${'a'.repeat(index)}/v1.0.0`,
    `B${'B'.repeat(index)}/v1.0.0`,
    `${'ü'.repeat(index)}%@/v1.0.0`,
  ]).flat();

  test('have keys that a store can have, whatever the tag, and each its own', () => {
    const keys = tags.flatMap((tag) => [outcomeKey(1, tag, commit), deletedTagKey(1, tag, commit)]);
    expect(keys.filter((key) => !fits(key))).toEqual([]);
    expect(keys.filter((key) => /[A-Z]/.test(key))).toEqual([]);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('are found by their tag, and tell it unless it is too long', () => {
    for (const tag of tags) {
      const key = outcomeKey(1, tag, commit);
      expect(key.startsWith(outcomesOfTagPrefix(1, tag, commit))).toBe(true);
      expect([undefined, tag]).toContain(parseOutcomeKey(1, key)?.name);
    }
    expect(parseOutcomeKey(1, outcomeKey(1, 'sub/Dir/v1.0.0', commit))).toEqual({ name: 'sub/Dir/v1.0.0', commit });
  });
});

test('keys of outcomes stay what they are: another key would have every tag looked at again', () => {
  const commit = 'a'.repeat(40);
  expect(outcomeKey(7, 'sub/V1', commit)).toBe(`outcomes/7/sub%2f!v1@${commit}.json`);
  expect(outcomeKey(7, 'a'.repeat(200), commit)).toBe(`outcomes/7/${'a'.repeat(200)}@${commit}.json`);
  expect(outcomeKey(7, 'a'.repeat(201), commit)).toMatch(/^outcomes\/7\/a{130}~[0-9a-f]{64}@a{40}\.json$/);
});
