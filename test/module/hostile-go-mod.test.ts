import { afterAll, describe, expect, test } from 'vitest';
import { goModOf, isGo124OrLater } from '../../src/module/modfile.ts';
import { Retractions, retractedVersions } from '../../src/module/retractions.ts';
import { MAX_GOMOD } from '../../src/module/zip/writer.ts';
import { MAX_BLOCK_MS, measure } from '../hostile/event-loop.ts';
import { Oracle } from './oracle.ts';
import { parsedModfile } from './parsed.ts';

const oracle = new Oracle();
afterAll(() => oracle.close());

/** A go.mod whose parts are repeated until it has about `bytes` bytes. */
type GoModOfSize = (bytes: number) => string;

const times = (part: string, bytes: number): string => part.repeat(Math.floor(bytes / Buffer.byteLength(part)));

/** go.mod files on which a parser may take too long, too much memory, or too deep a recursion. */
const HOSTILE: Readonly<Record<string, GoModOfSize>> = {
  'a line of spaces between two letters': (bytes) => `x${times(' ', bytes)}x\n`,
  'a module line that ends in spaces': (bytes) => `module a.b/c${times(' ', bytes)}\n`,
  'a module line with spaces before a comment': (bytes) => `module${times(' ', bytes)}//\nmodule a.b/c\n`,
  'a module line with spaces of three bytes': (bytes) => `module a.b/c${times('\u3000', bytes)}\n`,
  'empty lines': (bytes) => times('\n', bytes),
  'lines of one letter': (bytes) => times('x\n', bytes),
  'lines of one comment': (bytes) => times('//\n', bytes),
  'lines without a module path': (bytes) => times('module\n', bytes),
  'a line of many tokens': (bytes) => times('x ', bytes),
  'a line of opening parentheses': (bytes) => `x ${times('(', bytes)}`,
  'empty blocks': (bytes) => times('x (\n)\n', bytes),
  'the same retraction again and again': (bytes) => times('retract v0.0.1\n', bytes),
  'many retractions': (bytes) => {
    let text = 'module a.b/c\nretract (\n';
    for (let number = 1; text.length < bytes; number++) text += `[v0.${number}.0, v0.${number}.9]\n`;
    return `${text})\n`;
  },
  'a retraction with many identifiers': (bytes) => `retract v1.0.0-${times('1.', bytes)}1\n`,
  'a requirement with many identifiers': (bytes) => `require a.b/c v1.0.0-${times('1.', bytes)}1\ngo 1.25\n`,
  'a requirement with a long path': (bytes) => `require a.b/${times('v1/', bytes)}c v1.0.0\ngo 1.25\n`,
  'a requirement of many digits': (bytes) => `require a.b/c v${times('1', bytes)}.0.0+incompatible\ngo 1.25\n`,
  'many requirements': (bytes) => `require (\n${times('a.b/c v1.0.0\n', bytes)})\ngo 1.25\n`,
  'a go version of many digits': (bytes) => `go 1.${times('1', bytes)}\n`,
  'a go version of many digits and a letter': (bytes) => `go 1.${times('1', bytes)}!\n`,
  'a long word': (bytes) => times('x', bytes),
  'a long word of letters outside ASCII': (bytes) => times('\u{20000}', bytes),
  'a long string': (bytes) => `x "${times('x', bytes)}"\n`,
  'a long string of escapes': (bytes) => `module "${times('\\n', bytes)}"\n`,
  'a long string of long escapes': (bytes) => `module "${times('\\u00e9', bytes)}"\n`,
  'a long string without an end': (bytes) => `x "${times('\\"', bytes)}`,
  'a long raw string': (bytes) => `module \`${times('\r', bytes)}\`\n`,
};

describe.each(Object.entries(HOSTILE))('a go.mod with %s', (_name, goMod) => {
  test('is parsed as by golang.org/x/mod', async () => {
    const text = goMod(100_000);
    const [path, lax] = await Promise.all([
      oracle.ask({ Op: 'modulePath', Text: text }),
      oracle.ask({ Op: 'parseLax', Text: text }),
    ]);
    expect((await goModOf(Buffer.from(text))).declaredPath).toBe(path.Text);
    expect(await parsedModfile(Buffer.from(text))).toEqual(
      lax.OK ? { go: lax.Text, bounds: lax.Parts ?? [] } : undefined,
    );
  });

  test('does not block the event loop, and takes little memory', async () => {
    const bytes = Buffer.from(goMod(MAX_GOMOD - 100));
    const { longestBlockMs, grewBytes } = await measure(async () => {
      await goModOf(bytes);
      await isGo124OrLater(bytes);
      await retractedVersions(bytes, ['v0.0.1', 'v0.7.5', 'v1.0.0']);
    });
    expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
    expect(grewBytes).toBeLessThan(8 * MAX_GOMOD);
  }, 60_000);
});

describe('the retracted versions', () => {
  const goMod = Buffer.from(HOSTILE['many retractions']?.(MAX_GOMOD - 100) ?? '');

  test('are computed once for a go.mod and a list of versions', async () => {
    const retractions = new Retractions();
    const versions = Array.from({ length: 1000 }, (_, index) => `v0.${index}.${index % 20}`);
    const first = await retractions.among(versions, goMod);
    expect(first.size).toBeGreaterThan(400);
    const { result, tookMs } = await measure(() => retractions.among(versions, Buffer.from(goMod)));
    expect(result).toBe(first);
    expect(tookMs).toBeLessThan(200);
    expect(await retractions.among(['v0.1.0'], goMod)).toEqual(new Set(['v0.1.0']));
    expect(await retractions.among(['v0.1.0'], Buffer.from('retract v0.2.0\n'))).toEqual(new Set());
  }, 60_000);

  test('of many modules at the same time do not block the event loop', async () => {
    const { longestBlockMs } = await measure(() =>
      Promise.all(Array.from({ length: 10 }, () => retractedVersions(goMod.subarray(0, 2 ** 21), ['v0.1.0']))),
    );
    expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
  }, 60_000);
});
