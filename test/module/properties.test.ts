import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { Oracle } from './oracle.ts';
import { PROPERTIES } from './properties.ts';
import { regressions } from './regressions.ts';

const oracle = new Oracle();
afterAll(() => oracle.close());

describe('whatever the input, the rules say what golang.org/x/mod says', () => {
  test.each(PROPERTIES)('$runs $name', { timeout: 120_000 }, async ({ input, answers, runs }) => {
    await fc.assert(
      fc.asyncProperty(input, async (value) => {
        const { ours, theirs } = await answers(oracle, value);
        expect(ours).toEqual(theirs);
      }),
      { numRuns: runs },
    );
  });
});

describe('what was once found wrong stays right', () => {
  const cases = regressions();

  test('there is a property for each', () => {
    const names = new Set(PROPERTIES.map(({ name }) => name));
    expect(cases.filter(({ property }) => !names.has(property))).toEqual([]);
  });

  test.each(cases)('$file', async ({ property, input }) => {
    const found = PROPERTIES.find(({ name }) => name === property);
    const answers = await found?.answers(oracle, input);
    expect(answers?.ours).toEqual(answers?.theirs);
  });
});
