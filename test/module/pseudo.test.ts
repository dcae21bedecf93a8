import { afterAll, describe, expect, test } from 'vitest';
import { parsePseudoVersion, pseudoVersion } from '../../src/module/pseudo.ts';
import { Oracle } from './oracle.ts';

const oracle = new Oracle();
afterAll(() => oracle.close());

const BASES = [
  '',
  'v0.0.0',
  'v0.0.0--',
  'v1.2.3',
  'v1.2.9',
  'v1.2.99999999999999999999',
  'v1.2.3-pre',
  'v1.3.0-pre.1',
  'v1.2.3-0',
  'v1.0.0+meta',
  'v2.0.0+incompatible',
  'v2.3.0-pre+incompatible',
  'v1.2',
  'v1',
  'v1.2.3-a-b',
];
const TIMES = [0, 951_782_400, 1_136_214_245, 1_709_164_799, 4_102_444_799];

describe('a pseudo-version', () => {
  test.each(['', 'v0', 'v1', 'v2', 'v10'].flatMap((major) => BASES.map((base) => ({ major, base }))))(
    'is the same as by golang.org/x/mod/module, with the same parts, for major version "$major" and base "$base"',
    async ({ major, base }) => {
      for (const seconds of TIMES) {
        const { Text: theirs } = await oracle.ask({ Op: 'pseudoVersion', Text: major, Other: base, Int: seconds });
        expect(pseudoVersion(major, base, new Date(seconds * 1000), 'abcdef012345')).toBe(theirs);
        expect(partsOf(theirs)).toEqual(await partsByGo(theirs));
      }
    },
  );

  test.each([
    'v0.0.0',
    'v0.0.0-',
    '---',
    '',
    'v1.2.3-pre',
    'v0.0.0-0.20060102150405-abc',
    'v0.1.0-0.20060102150405-abc',
    'v1.0.0-0.20060102150405-abc',
    'v0.0.0-20060102150405-abc+incompatible',
    'v0.0.0-20060102150405-abc+meta',
    'v1.2.10-0.20060102150405-abc',
    'v1.2.100-0.20060102150405-abc',
    'v1.2.3-0.0.20060102150405-abc',
    'v1.2.0-pre.0.20060102150405-abc',
    'v2.0.0-20060102150405-abc',
    'v0.0.0-00000000000000-abc',
    'v0.0.0-20061399000000-abc',
    'v1.2.3-20060102150405-abc',
    'v1.0.0-2006010215040-abc',
    'v1.0.0-20060102150405-abc-d',
    'v1.0.0-20060102150405-ABC',
    'v1.0.0-20060102150405-',
    'v1.2.3-pre.20060102150405-abc',
    'v1.2.01-0.20060102150405-abc',
  ])('is parsed or rejected as by golang.org/x/mod/module: %j', async (version) => {
    expect(partsOf(version)).toEqual(await partsByGo(version));
  });
});

function partsOf(version: string): unknown {
  const parsed = parsePseudoVersion(version);
  return parsed && { ...parsed, base: typeof parsed.base === 'string' ? parsed.base : 'none' };
}

async function partsByGo(version: string): Promise<unknown> {
  const { OK, Parts } = await oracle.ask({ Op: 'parsePseudoVersion', Text: version });
  if (!Parts) return undefined;
  const [revision, base, timestamp] = Parts;
  return { revision, base: OK ? base : 'none', timestamp };
}
