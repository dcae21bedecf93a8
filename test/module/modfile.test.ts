import { afterAll, describe, expect, test } from 'vitest';
import { goModOf, isGo124OrLater } from '../../src/module/modfile.ts';
import { RetractedRanges } from '../../src/module/retractions.ts';
import { Oracle } from './oracle.ts';
import { finish, parsedModfile } from './parsed.ts';

const oracle = new Oracle();
afterAll(() => oracle.close());

const GO_MODS = [
  'module a.b/c\n',
  'module a.b/c',
  'module "a.b/c"\n',
  'module `a.b/c`\n',
  'module "a.b\\x2fc"\n',
  'module "a.b/c\n',
  'module  a.b/c // Deprecated: no\n',
  'modulea.b/c\n',
  'module\n',
  'module \n',
  '// module x.y/z\nmodule a.b/c\n',
  '\ufeffmodule a.b/c\n',
  'module (\n\ta.b/c\n)\n',
  'module a.b/c d\n',
  'module a.b/c\nmodule d.e/f\n',
  '\tmodule a.b/c\r\n',
  'module a.b/c//x\n',
  'module\u00a0a.b/c\n',
  '',
  'module a.b/c\n\ngo 1.24\n',
  'module a.b/c\ngo 1.24rc1\n',
  'module a.b/c\ngo 1.24.x\n',
  'module a.b/c\ngo v1.24\n',
  'module a.b/c\ngo v1.24.3\n',
  'module a.b/c\ngo 1.24.1rc1\n',
  'module a.b/c\ngo 1\n',
  'module a.b/c\ngo 1.23.9\n',
  'module a.b/c\ngo 1.9\n',
  'module a.b/c\ngo 1.024\n',
  'module a.b/c\ngo 2.0\n',
  'module a.b/c\ngo 1.24\ngo 1.25\n',
  'module a.b/c\ngo 1.24 1.25\n',
  'module a.b/c\ngo\n',
  'module a.b/c\ngo (\n1.24\n)\n',
  'go 1.24\n',
  'go 1.100\n',
  'go "1.24"\n',
  'module a.b/c\nrequire x.y/z v1.0.0\ngo 1.25\n',
  'module a.b/c\nrequire x.y/z v1\ngo 1.25\n',
  'module a.b/c\nrequire x.y/z 1.0.0\ngo 1.25\n',
  'module a.b/c\nrequire x.y/z v2.0.0\ngo 1.25\n',
  'module a.b/c\nrequire x.y/z/v2 v2.0.0\ngo 1.25\n',
  'module a.b/c\nrequire x.y/z v2.0.0+incompatible\ngo 1.25\n',
  'module a.b/c\nrequire x.y/z\ngo 1.25\n',
  'module a.b/c\nrequire "x.y/z" "v1.0.0"\ngo 1.25\n',
  "module a.b/c\nrequire 'x.y/z' v1.0.0\ngo 1.25\n",
  'module a.b/c\nrequire `x.y/z` v1.0.0\ngo 1.25\n',
  'module a.b/c\nrequire (\n\tx.y/z v1.0.0 // indirect\n\n\t// c\n\tx.y/w v1.2.3\n) // end\ngo 1.25\n',
  'module a.b/c\nrequire (\n\tx.y/z v1.0.0\ngo 1.25\n',
  'require ( x.y/z v1.0.0 )\ngo 1.25\n',
  'require ()\ngo 1.25\n',
  'require ( )\ngo 1.25\n',
  'require (\n) x\ngo 1.25\n',
  'replace x.y/z => ./z\nexclude x.y/z v1\ntool t\ntoolchain nonsense\nfrobnicate a b c\ngo 1.25\n',
  'frobnicate (\n\ta\n)\ngo 1.25\n',
  'require a (\n\tb\n)\ngo 1.25\n',
  'ignore ./x\ngo 1.25\n',
  'ignore a b\ngo 1.25\n',
  'ignore "\ngo 1.25\n',
  '/* c */\ngo 1.25\n',
  'go 1.25 /* c */\n',
  'go 1.25 // c\n',
  'go 1.25//c\n',
  'go 1.25 )\n',
  '(\ngo 1.25\n',
  ')\ngo 1.25\n',
  'a{b}c\ngo 1.25\n',
  'a\u0001b\ngo 1.25\n',
  'a\u00a0b\ngo 1.25\n',
  'a"b\ngo 1.25\n',
  'a "b\\"c" d\ngo 1.25\n',
  'a "b\ngo 1.25\n',
  'a `b\\` c\ngo 1.25\n',
  'retract v1.0.0\ngo 1.25\n',
  'retract [v1.0.0, v1.2.0]\ngo 1.25\n',
  'retract [v1.0.0 v1.2.0]\ngo 1.25\n',
  'retract ( v1.0.0 )\n',
  'retract (\n\tv1.0.0 // why\n\t[v1.1.0, v1.2.0]\n)\n',
  'retract\n',
  'retract [\n',
  'retract "v1.0.0"\n',
  'retract v1.0.0 v2\n',
  'retract nonsense\n',
  'retract ["v1.0.0", v2]x\n',
  "retract 'v1'\n",
  'retract [v1.0.0,v1.1.0]\n',
  'retract [(, v1.1.0]\n',
  'retract ["v1.0.0", "\\x76\\62.0.0"]\n',
  'retract [v1.0.0, v1.1.0\n',
  'module "a\\u00e9\\U0001f600\\101\\t"\n',
  'module "a\\400"\n',
  'module "\\ud800"\n',
  'module "a\\"\n',
  'module `a`b`\n',
  'module `\r`\n',
  '\u2003module\u3000a.b/c\u2003\n',
  'module a.b/c\ngo 1.24\r\n',
  'module a.b/c\r\n\r\ngo 1.24',
  '\n\n//x\n\n(x)\n',
  'go 1.25\n\\\n',
  'go 1.25\n😀 x\n',
  'go 1.25\n\u200b\n',
];

describe('a go.mod', () => {
  test.each(GO_MODS)('is parsed as by golang.org/x/mod/modfile: %j', async (text) => {
    expect((await goModOf(Buffer.from(text))).declaredPath).toBe(
      (await oracle.ask({ Op: 'modulePath', Text: text })).Text,
    );
    const { OK, Text, Parts } = await oracle.ask({ Op: 'parseLax', Text: text });
    expect(await parsedModfile(Buffer.from(text))).toEqual(OK ? { go: Text, bounds: Parts ?? [] } : undefined);
  });

  test.each(['go 1.24', 'go 1.24.0', 'go 1.24rc1', 'go 1.24.x', 'go 1.100', 'go 2.0'])(
    'has the newer vendor rule: %j',
    async (line) => {
      expect(await isGo124OrLater(Buffer.from(`module a.b/c\n${line}\n`))).toBe(true);
    },
  );

  test.each(['', 'go 1.23.9', 'go 1.9', 'go v1.24', 'go 1.24.1rc1', 'go 1.24\nrequire x'])(
    'has the older vendor rule: %j',
    async (line) => {
      expect(await isGo124OrLater(Buffer.from(`module a.b/c\n${line}\n`))).toBe(false);
    },
  );
});

test.each([
  'v1.0.0',
  'v1.2.0',
  'v1.2.0-pre',
  'v1.1.0',
  'v0.9.9',
  'v1.2.1',
  'v1.0.0-pre',
  'v1.10.0',
  'v1.2.0+incompatible',
  'main',
  '',
])('version %j is in a retracted range exactly if semver.Compare says so', async (version) => {
  for (const [low, high] of [
    ['v1.0.0', 'v1.2.0'],
    ['v1.0.0', 'v1.0.0'],
    ['v1.2.0', 'v1.0.0'],
    ['v1', 'v1.9'],
    ['', 'v9.0.0'],
    ['nonsense', 'nonsense'],
  ] as const) {
    const ranges = await RetractedRanges.among(['v7.0.0', version, 'v0.0.1']);
    finish(ranges.add('v5.0.0', 'v5.0.0'));
    finish(ranges.add(low, high));
    expect(ranges.versions().has(version), `${low} to ${high}`).toBe(
      (await oracle.ask({ Op: 'isRetracted', Text: version, Parts: [low, high] })).OK,
    );
  }
});
