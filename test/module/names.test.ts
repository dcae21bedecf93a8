import { afterAll, describe, expect, test } from 'vitest';
import {
  checkFilePath,
  checkModulePath,
  escapePath,
  parseModulePath,
  splitPathVersion,
  unescapePath,
} from '../../src/module/path.ts';
import {
  canonicalVersion,
  checkModuleVersion,
  compareVersions,
  isPseudoVersion,
  isSemver,
  matchesMajor,
  parseVersion,
  unescapeVersion,
} from '../../src/module/version.ts';
import { Oracle } from './oracle.ts';

const oracle = new Oracle();
afterAll(() => oracle.close());

/** Characters that are valid only in some places of a path. */
const PUNCTUATION = Array.from('!"#$%&\'()*+,-.:;<=>?@[\\]^_`{|}~');

const MODULE_PATHS = [
  ...PUNCTUATION.flatMap((char) => [`a.b${char}/c`, `a.b/c${char}`, `a.b/${char}c`]),
  'gitlab.example/group/lib',
  'gitlab.example',
  'example',
  'example/x',
  '',
  '/',
  'a.b/',
  '/a.b',
  'a.b//c',
  'a.b/c/',
  '-a.b/c',
  'a.b/-c',
  'a.b/.c',
  'a.b/c.',
  'a.b/..',
  'a.b/...',
  'a.b/c..d',
  'A.b/c',
  'a.b/C',
  'a_b.c/d',
  'a.b/c_d',
  'a.b/c~d',
  'a.b/c~1',
  'a.b/c~12.d',
  'a.b/c~1x',
  'a.b/con',
  'a.b/CON.txt',
  'a.b/con1',
  'a.b/com1',
  'a.b/com0',
  'a.b/lpt9.x',
  'a.b/aux/x',
  'a.b/v1',
  'a.b/v2',
  'a.b/v02',
  'a.b/v2.0',
  'a.b/v10',
  'a.b/v',
  'a.b/xv2',
  'a.b/v2/v3',
  'a.b/v0',
  'a.b/c+d',
  'a.b/c d',
  'a.b/c@d',
  'a.b/c!d',
  'a.b/é',
  'a.b/c:d',
  'a.b:80/c',
  '127.0.0.1/x',
  'a.b/日本',
  'gopkg.in/yaml.v2',
  'gopkg.in/yaml.v0',
  'gopkg.in/yaml.v00',
  'gopkg.in/yaml.v1-unstable',
  'gopkg.in/yaml.v0-unstable',
  'gopkg.in/yaml',
  'gopkg.in/a/b.v3',
  'gopkg.in/yaml.v2/x',
  'gopkg.in/.v2',
  'a.b/c.git',
  'a.b/c.git/v2',
  'a.b/c\u0000',
  'a.b/\ufffd',
  'a.b/K',
  'a.b/c.v2',
  'a.b/1',
  'a.b/v1.2',
  'a.b/v1.',
  '.a/b',
  '-a/b',
  'a..b/c',
  'a./b',
  'a.b//c',
  'a.b/c/../../d',
  '../a',
  './a',
  'a:b',
  '\\a\\b',
  '.gitignore',
  'a☺b',
  'a.b/!123/c',
  'a.b/prn2',
  'a.b/com',
  'a.b/com1.txt',
  'a.b/aux.c',
  'a.b/c~',
  'a.b/c~0',
  'a.b/c09~',
  'a.b/c09~09c',
  'a.b/c09~09c~09',
  'a.b/испытание',
];

const FILE_PATHS = [
  ...PUNCTUATION.flatMap((char) => [`a${char}/b`, `a/${char}b`, char]),
  'go.mod',
  'a/b/c.go',
  '',
  '/a',
  'a/',
  'a//b',
  './a',
  '../a',
  'a/./b',
  'a/../b',
  'a.',
  '.a',
  '..a',
  'a/.',
  '...',
  'a b',
  ' a',
  'a!b',
  "a'b",
  'a"b',
  'a*b',
  'a<b',
  'a>b',
  'a?b',
  'a|b',
  'a\\b',
  'a:b',
  'a`b',
  'a;b',
  '#$%&()+,-.=@[]^_{}~',
  'café',
  'cafe\u0301',
  '日本語',
  'ñ/ü',
  '😀',
  'a\u200bb',
  'a\nb',
  'a\tb',
  'CON',
  'con.go',
  'aux',
  'x/NUL.txt',
  'COM1',
  'com10',
  'lpt0',
  'LPT9',
  'a~1',
  'x~1.go',
  '-a',
  '-/b',
  'ａ',
  'ǅ',
  'ℵ',
  'Ⅷ',
  '²',
  'ª',
  'a\u00a0b',
  '\u{2ebf0}',
  '\u{323af}',
  'ſ',
  'K',
];

const VERSIONS = [
  'v1.2.3',
  'v1.2',
  'v1',
  'v0.0.0',
  'v01.2.3',
  'v1.02.3',
  'v1.2.03',
  '1.2.3',
  'V1.2.3',
  'v1.2.3-pre',
  'v1.2.3-pre.1',
  'v1.2.3-0',
  'v1.2.3-01',
  'v1.2.3-0a',
  'v1.2.3--',
  'v1.2.3-a..b',
  'v1.2.3-',
  'v1.2.3+',
  'v1.2.3+meta',
  'v1.2.3+incompatible',
  'v2.0.0+incompatible',
  'v2.0.0-pre+incompatible',
  'v1.2.3-a+b.c',
  'v1-pre',
  'v1.2-pre',
  'v',
  '',
  'v1.2.3.4',
  'v1.2.3 ',
  ' v1.2.3',
  'v1.2.3\n',
  'v99999999999999999999.1.2',
  'v1.10.0',
  'v1.9.0',
  'v1.2.3-alpha',
  'v1.2.3-beta',
  'v1.2.3-alpha.beta',
  'v1.2.3-1',
  'v1.2.3-10',
  'v1.2.3-9',
  'v1.2.3-a-b',
  'v1.2.3-pre.01',
  'v0.0.0-20200101000000-abcdefabcdef',
  'v1.2.4-0.20200101000000-abcdefabcdef',
  'v1.2.3-pre.0.20200101000000-abcdefabcdef',
  'v2.0.1-0.20200101000000-abcdefabcdef+incompatible',
  'v1.0.0-20200101000000-abcdefabcdef',
  'v1.2.3-20200101000000-abcdefabcdef',
  'v0.0.0-2020010100000-abcdefabcdef',
  'v0.0.0-20200101000000-',
  'v0.0.0-20200101000000-ABC',
  'v1.2.3-x.20200101000000-abc',
  'v1-alpha.beta.c',
  'v1+meta',
  'v1-pre+meta',
  'v1.2+meta',
  'v1.2-pre+meta',
  'v1.2.3-456',
  'v1.2.3-456.789',
  'v1.2.3-456-789',
  'v1.2.3-456a',
  'v1.2.3+meta-pre.sha.256a',
  'v1.2.3-beta.2',
  'v1.2.3-beta.11',
  'a!!b',
  '!!a',
  '!a',
  '!',
  'a!',
  'main',
  'release-1.0',
  'feature/x',
  'latest',
  'v1.2.3-é',
  'a!b',
  'a..b',
  '.x',
  'x.',
  'HEAD',
];

const MAJORS = ['', '/v2', '/v3', '.v1', '.v2', '.v0', '.v2-unstable', '/v99999999999999999999'];

describe('the module path', () => {
  test.each(MODULE_PATHS)('%j is accepted exactly if CheckPath accepts it', async (path) => {
    expect(checkModulePath(path) === undefined).toBe((await oracle.ask({ Op: 'checkPath', Text: path })).OK);
  });

  test.each(MODULE_PATHS)('%j is split into a prefix and a major version as by SplitPathVersion', async (path) => {
    const { OK, Parts } = await oracle.ask({ Op: 'splitPathVersion', Text: path });
    const split = splitPathVersion(path);
    expect(split && [split.prefix, split.major]).toEqual(OK ? Parts : undefined);
  });

  test.each(MODULE_PATHS)('%j is escaped as by EscapePath, and unescaped to the same path', async (path) => {
    const parsed = parseModulePath(path);
    const { OK, Text } = await oracle.ask({ Op: 'escapePath', Text: path });
    const escaped = typeof parsed === 'string' ? escapePath(parsed) : undefined;
    expect(escaped).toBe(OK ? Text : undefined);
    expect(escaped === undefined ? path : unescapePath(escaped)).toBe(path);
  });

  test.each([
    'a.b/!c',
    'a.b/c',
    'a.b/C',
    'a.b/!C',
    'a.b/!',
    'a.b/!!c',
    'a.b/c!',
    'a.b/!1',
    'a.b/é',
    '!a.b/c',
    '',
    'a.b/!con',
  ])('%j is unescaped as by UnescapePath', async (text) => {
    const { OK, Text } = await oracle.ask({ Op: 'unescapePath', Text: text });
    expect(unescapePath(text)).toEqual(OK ? Text : { reason: expect.any(String) });
  });
});

describe('the file path', () => {
  test.each(FILE_PATHS)('%j is accepted exactly if CheckFilePath accepts it', async (path) => {
    expect(checkFilePath(path) === undefined).toBe((await oracle.ask({ Op: 'checkFilePath', Text: path })).OK);
  });
});

describe('the version', () => {
  test.each(VERSIONS)(
    '%j has the validity, canonical form, pseudo-version form and unescaped form that golang.org/x/mod returns',
    async (version) => {
      expect(isSemver(version)).toBe((await oracle.ask({ Op: 'isSemver', Text: version })).OK);
      expect(canonicalVersion(version)).toBe((await oracle.ask({ Op: 'canonicalVersion', Text: version })).Text);
      expect(isPseudoVersion(version)).toBe((await oracle.ask({ Op: 'isPseudoVersion', Text: version })).OK);
      const unescaped = await oracle.ask({ Op: 'unescapeVersion', Text: version });
      expect(unescapeVersion(version)).toBe(unescaped.OK ? unescaped.Text : undefined);
    },
  );

  test.each(VERSIONS)('%j is compared with every other version as by semver.Compare', async (version) => {
    for (const other of VERSIONS) {
      const { Int } = await oracle.ask({ Op: 'compareVersions', Text: version, Other: other });
      expect(Math.sign(compareVersions(version, other)), `${version} and ${other}`).toBe(Int);
    }
  });

  test.each(MAJORS)('matches the path suffix %j exactly if MatchPathMajor accepts it', async (major) => {
    for (const version of VERSIONS.filter(isSemver)) {
      const { OK } = await oracle.ask({ Op: 'matchesMajor', Text: version, Other: major });
      expect(matchesMajor(version, major), version).toBe(OK);
    }
  });
});

describe('a path and a version', () => {
  const paths = [
    'a.b/c',
    'a.b/c/v2',
    'gopkg.in/c.v0',
    'gopkg.in/c.v1',
    'gopkg.in/c.v2',
    'gopkg.in/c.v2-unstable',
    'a.b',
    'b/c',
    'a b/c',
    'a.b/c/v1',
  ];
  const versions = [
    'v0.0.0',
    'v0.8.0',
    'v1.0.0',
    'v2.0.0',
    'v2.1.5',
    'v3.0.0',
    'v17.0.0',
    'v17.0.0+incompatible',
    'v1.0.0+incompatible',
    '0.1.0',
    'v1.0',
    'v1.0.0+meta',
    'v0.0.0-20160102150405-abcdef123456',
    'v0.0.0-pre',
    'v1.0.0-pre',
  ];

  test.each(paths.flatMap((path) => versions.map((version) => ({ path, version }))))(
    'match exactly if module.Check and CanonicalVersion accept them: $path@$version',
    async ({ path, version }) => {
      const [parsedPath, parsedVersion] = [parseModulePath(path), parseVersion(version)];
      const ours =
        typeof parsedPath === 'string' &&
        parsedVersion !== undefined &&
        checkModuleVersion(parsedPath, parsedVersion) === undefined;
      const [checked, canonical] = [
        await oracle.ask({ Op: 'check', Text: path, Other: version }),
        await oracle.ask({ Op: 'canonicalVersion', Text: version }),
      ];
      expect(ours).toBe(checked.OK && canonical.Text === version);
    },
  );
});
