import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { Oracle } from './oracle.ts';
import { PROPERTIES } from './properties.ts';
import { regressions } from './regressions.ts';

const oracle = new Oracle();
afterAll(() => oracle.close());

describe('the rules', () => {
  test.each(PROPERTIES)(
    'agree with golang.org/x/mod for $runs random inputs: $name',
    { timeout: 120_000 },
    async ({ input, answers, runs }) => {
      await fc.assert(
        fc.asyncProperty(input, async (value) => {
          const { ours, theirs } = await answers(oracle, value);
          expect(ours).toEqual(theirs);
        }),
        { numRuns: runs },
      );
    },
  );
});

describe('an input that once gave a wrong result', () => {
  const cases = regressions();

  test('has a property', () => {
    const names = new Set(PROPERTIES.map(({ name }) => name));
    expect(cases.filter(({ property }) => !names.has(property))).toEqual([]);
  });

  test.each(cases)('$file agrees with golang.org/x/mod', async ({ property, input }) => {
    const found = PROPERTIES.find(({ name }) => name === property);
    const answers = await found?.answers(oracle, input);
    expect(answers?.ours).toEqual(answers?.theirs);
  });
});
