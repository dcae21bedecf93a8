import * as fc from 'fast-check';

/**
 * Generates random and adversarial input for the module rules, with everything that a git repository or a request can
 * contain.
 */

/** A file of a tree. */
interface FuzzFile {
  readonly path: string;
  readonly symlink: boolean;
  readonly content: string;
}

/** A tree for the zip of a module version. */
export interface FuzzTree {
  readonly module: string;
  readonly version: string;
  readonly files: readonly FuzzFile[];
}

/**
 * Characters for which rules differ: characters with unusual case folding, marks, and characters that Windows or Go
 * forbid.
 */
const TELLING = [
  'a',
  'A',
  'k',
  'K',
  '\u212a',
  's',
  'S',
  '\u017f',
  'i',
  'I',
  '\u0130',
  '\u0131',
  '\u00df',
  '\u1e9e',
  '\u03c3',
  '\u03c2',
  '\u03a3',
  '\u01c4',
  '\u01c5',
  '\u01c6',
  '\u00b5',
  '\u03bc',
  '\u2126',
  '\u03c9',
  '\u00e5',
  '\u212b',
  '\u00e9',
  'e\u0301',
  '\u65e5',
  '\uff21',
  '\u{20000}',
  '\u{1f600}',
  '\ufffd',
  '\u200b',
  '\u00a0',
  '\u00b2',
  '\u2160',
  '\u2170',
  '\u13a0',
  '\uab70',
  '\u{10400}',
  '\u{10428}',
  '\u{323af}',
  '\u{1e900}',
  '0',
  '1',
  '9',
  '.',
  '-',
  '_',
  '~',
  ' ',
  '!',
  '#',
  '$',
  '%',
  '&',
  '(',
  ')',
  '+',
  ',',
  '=',
  '@',
  '[',
  ']',
  '^',
  '{',
  '}',
  '"',
  "'",
  '*',
  '<',
  '>',
  '?',
  '`',
  '|',
  '\\',
  ':',
  ';',
  '\t',
  '\n',
  '\u007f',
];

const NAMES = [
  'a',
  'A',
  'b.go',
  'B.go',
  'x',
  'sub',
  'Sub',
  'go.mod',
  'GO.MOD',
  'Go.mod',
  'go.mod.',
  'vendor',
  'Vendor',
  'VENDOR',
  'modules.txt',
  'LICENSE',
  'license',
  'License',
  '.hg_archival.txt',
  '.hg',
  '.git',
  'v2',
  'testdata',
  'con',
  'CON.txt',
  'prn',
  'aux.go',
  'nul',
  'com1',
  'COM0',
  'lpt9.x',
  'x~1',
  '~1',
  'a.',
  '..a',
  '...',
  '.a',
  '-a',
  'k',
  '\u212a',
  'i',
  '\u0131',
  'caf\u00e9',
  'cafe\u0301',
  '\u{1f600}.go',
];

/** Generates the first text in most cases, and otherwise one of the others. */
const usually = (text: string, ...others: readonly string[]) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(text) }, { weight: 1, arbitrary: fc.constantFrom(...others) });

/** Generates a text of such characters. */
export const tellingText = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...TELLING) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 1 }) },
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

/**
 * Generates the name of a file or directory in git. It is never empty, `.` or `..`, and contains no slash and no NUL.
 */
const element = fc
  .oneof(
    { weight: 8, arbitrary: fc.constantFrom(...NAMES) },
    { weight: 2, arbitrary: tellingText.map((text) => text.replaceAll(/[/\0]/g, '')) },
    { weight: 1, arbitrary: fc.constant('y'.repeat(300)) },
  )
  .filter((name) => name !== '' && name !== '.' && name !== '..' && name.isWellFormed());

/** Generates a path in git. */
export const treePath = fc.array(element, { minLength: 1, maxLength: 5 }).map((elements) => elements.join('/'));

/** Generates a path with at most one unusual element, so that most trees of such paths are valid. */
const ordinaryPath = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'b', 'c', 'sub', 'vendor', 'x'), { maxLength: 4 }),
    fc.constantFrom('a.go', 'b.go', 'c.txt', 'd', 'go.mod', 'modules.txt', 'LICENSE', '.x'),
    fc.oneof(
      { weight: 15, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.tuple(element, fc.nat({ max: 4 })) },
    ),
  )
  .map(([directories, name, odd]) => {
    const elements: string[] = [...directories, name];
    return (odd === undefined ? elements : elements.toSpliced(odd[1], 0, odd[0])).join('/');
  });

const GO_LINES = [
  '',
  'go 1.23',
  'go 1.24',
  'go 1.24rc1',
  'go 1.24.0',
  'go 1.23.9',
  'go 1.25',
  'go 2.0',
  'go v1.24',
  'go 1',
  'go 1.024',
  'go 1.24-x',
  'go 1.24.1rc1',
  'go 9.99',
  'go 1.24 // new',
  'go (\n\t1.24\n)',
  'go 1.23\ngo 1.24',
];
const REST = [
  'require a.b/c v1.0.0\n',
  'require a.b/c\n',
  'require a.b/c v2.0.0\n',
  'require (\n\ta.b/c v1.2.3 // indirect\n)\n',
  'retract v1.0.0\n',
  'unknown thing\n',
  'exclude a.b/c v1.0.0\n',
  'require (\n',
  '"\n',
  'replace a.b/c => ../c\n',
  'tool a.b/c/cmd\n',
  'ignore ./x\n',
  '/* no */\n',
];

/** Generates a go.mod that varies in the lines which decide the vendor rule. */
const vendorGoMod = fc
  .tuple(
    usually('module a.b/c', 'module "a.b/c"', '', '\ufeffmodule a.b/c'),
    fc.constantFrom(...GO_LINES),
    usually('', ...REST),
    usually('\n', '\r\n'),
  )
  .map(([module, go, rest, end]) => [module, '', go, rest].join('\n').replaceAll('\n', end));

/**
 * Generates names that fold to the same text, or to almost the same text. There are few such names, so that files
 * collide with files and directories.
 */
const lookalike = fc
  .array(
    fc.oneof(
      fc.constantFrom('k', 'K', '\u212a'),
      fc.constantFrom('s', 'S', '\u017f'),
      fc.constantFrom('i', 'I', '\u0131', '\u0130'),
      fc.constantFrom('\u00df', '\u1e9e', '\u03c3', '\u03c2', '\u03a3', '\u{10400}', '\u{10428}'),
    ),
    { minLength: 1, maxLength: 2 },
  )
  .map((chars) => chars.join(''));
const lookalikePath = fc.array(lookalike, { minLength: 1, maxLength: 3 }).map((elements) => elements.join('/'));

/**
 * Generates files with different paths. One in ten is a symlink. A file can have the path of a directory, which git
 * does not allow, but the module rules must handle.
 */
const filesAt = (path: fc.Arbitrary<string>, maxLength: number) =>
  fc.uniqueArray(
    fc.record<FuzzFile>({
      path,
      symlink: fc.nat({ max: 9 }).map((die) => die === 0),
      content: fc.constantFrom('', 'x', 'package a\n', '\u0000\u00ff'),
    }),
    { maxLength, selector: (file) => file.path },
  );

/**
 * Generates a tree, which usually has a go.mod at its root. Most trees are valid, except trees with lookalike or
 * unusual names.
 */
export const tree = fc
  .record({
    module: fc.constantFrom('gitlab.example/g/lib', 'gitlab.example/g/lib/v2', 'gopkg.in/yaml.v2'),
    version: fc.constantFrom('v2.1.0', 'v2.0.0-pre.1'),
    files: fc.oneof(
      {
        weight: 12,
        arbitrary: filesAt(fc.oneof({ weight: 15, arbitrary: ordinaryPath }, { weight: 1, arbitrary: treePath }), 14),
      },
      { weight: 4, arbitrary: filesAt(lookalikePath, 8) },
      { weight: 2, arbitrary: filesAt(treePath, 4) },
    ),
    gomod: fc.option(fc.record({ content: vendorGoMod, symlink: fc.nat({ max: 19 }).map((die) => die === 0) }), {
      nil: undefined,
      freq: 10,
    }),
  })
  .map(({ gomod, module, version, files }): FuzzTree => {
    const others = files.filter(({ path }) => path !== 'go.mod');
    return {
      module,
      version: module === 'gitlab.example/g/lib' ? version.replace('v2', 'v1') : version,
      files: gomod === undefined ? others : [{ path: 'go.mod', ...gomod }, ...others],
    };
  });

/** Generates a text that is similar to a module path. Many of these texts are valid module paths. */
export const modulePathText = fc
  .tuple(
    usually(
      'gitlab.example',
      'a.b',
      'gopkg.in',
      'A.b',
      'ab',
      'a_b.c',
      '127.0.0.1',
      '',
      'a.b:80',
      '-a.b',
      'a.b.',
      '.a.b',
      'gopkg.in.',
    ),
    fc.array(
      fc.oneof(
        {
          weight: 8,
          arbitrary: fc.constantFrom('c', 'C', 'Lib', 'lib.git', 'u_v', 'x+y', 'yaml.v2', 'a~', 'v', 'x2', 'a..b'),
        },
        {
          weight: 2,
          arbitrary: fc.constantFrom(
            'yaml.v1-unstable',
            'x.v0',
            'y.v02',
            'v1',
            'v2',
            'v02',
            'v2.0',
            'v10',
            'con',
            'a~1',
            '.a',
            'a.',
            '',
            '-d',
            '.v2',
          ),
        },
        { weight: 1, arbitrary: tellingText },
      ),
      { maxLength: 3 },
    ),
    usually(
      '',
      '/v2',
      '/v3',
      '.v2',
      '/v1',
      '/v0',
      '/v02',
      '/v2.0',
      '/',
      '/v2/v3',
      '.v2-unstable',
      '.v0-unstable',
      '.v1',
      '.v00',
    ),
  )
  .map(([host, elements, major]) => [host, ...elements].join('/') + major);

const number = fc.oneof(
  { weight: 12, arbitrary: fc.nat({ max: 12 }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom('00', '01', '', '99999999999999999999', 'x') },
);
const identifier = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('pre', 'rc', '1', '0', '10', '9', 'a-b', '-', 'RC', '0a') },
  { weight: 1, arbitrary: fc.constantFrom('01', '', '20200101000000', '0.20200101000000', 'é') },
);
const suffix = (sign: string) =>
  fc.array(identifier, { maxLength: 3 }).map((parts) => (parts.length === 0 ? '' : sign + parts.join('.')));

/** Generates a text that is, or is similar to, a release, a pre-release or a pseudo-version. */
export const versionText = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(
        usually('v', 'V', '', 'vv'),
        fc.oneof(
          { weight: 8, arbitrary: fc.tuple(number, number, number) },
          { weight: 1, arbitrary: fc.array(number, { minLength: 1, maxLength: 4 }) },
        ),
        suffix('-'),
        fc.oneof(fc.constantFrom('', '', '+incompatible'), suffix('+')),
      )
      .map(([v, numbers, pre, build]) => v + numbers.join('.') + pre + build),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          'v0.0.0-',
          'v1.0.0-',
          'v1.2.4-0.',
          'v1.0.0-0.',
          'v2.0.1-0.',
          'v1.2.3-pre.0.',
          'v1.2.3-a-b.0.',
          'v1.2.3-rc.1.0.',
          'v1.2.3-pre.',
          'v1.2.3-0.0.',
          'v1.10.10-0.',
          'v3.1.0-',
          'v1.2.3-.0.',
        ),
        usually('20200102030405', '20201399999999', '2020010203040', '00000000000000'),
        usually('-abcdef012345', '-ABC', '-', '-abcdef01234', 'abc', '-g', '-a_b'),
        fc.constantFrom('', '', '+incompatible', '+meta', '+a.b', '+'),
      )
      .map((parts) => parts.join('')),
  },
  { weight: 1, arbitrary: tellingText },
);

const modfileToken = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.constantFrom(
      'a.b/c',
      'v1.0.0',
      'v1.2.3',
      '[',
      ']',
      ',',
      '(',
      ')',
      '=>',
      '../x',
      'v2.0.0',
      'a.b/c/v2',
      'gopkg.in/yaml.v2',
      '1.24',
      '1.21.0',
      'v1.24',
      '1.24rc1',
      '"a.b/c"',
      '`a.b/c`',
      '"v1.0.0"',
      '"a',
      '`a',
      '"\\x61.b"',
      '"\\u00e9"',
      "'x'",
      '{',
      '}',
      '//',
      '// Deprecated: x',
      '/* x */',
      '\\',
      'é',
      '\u{1f600}',
      '\u200b',
      'a"b"',
      '0',
      '01.2',
    ),
  },
  { weight: 1, arbitrary: tellingText },
);
const modfileVerb = fc.constantFrom(
  'module',
  'go',
  'require',
  'retract',
  'replace',
  'exclude',
  'toolchain',
  'godebug',
  'tool',
  'ignore',
  'unknown',
  '',
  'Module',
  'module(',
  'retract(',
);
const wildLine = fc
  .tuple(
    fc.constantFrom('', '', ' ', '\t', '\u00a0'),
    modfileVerb,
    fc.array(modfileToken, { maxLength: 6 }),
    fc.constantFrom('', '', ' // comment', ' //', ' '),
  )
  .map(([indent, verb, tokens, end]) => `${indent}${[verb, ...tokens].join(' ')}${end}`);
const legalLine = fc.constantFrom(
  'go 1.24',
  'go 1.21.0',
  'require a.b/c v1.0.0',
  'require gopkg.in/yaml.v2 v2.1.0 // indirect',
  'retract v1.0.0',
  'retract [v1.0.0, v1.9.9] // bad',
  'retract [ v1.1.0 , v1.2.0 ]',
  'retract (\n\tv1.0.0\n\t[v1.2.0, v1.3.0]\n)',
  'require (\n\ta.b/c v1.0.0\n\n\t// note\n\t"a.b/d" v0.1.0\n)',
  'replace a.b/c => ../c',
  'exclude a.b/c v1.0.0',
  'toolchain go1.24.1',
  'tool a.b/c',
  '// Deprecated: use a.b/d',
  'retract v1.0',
  'retract "v1.0.0"',
  'godebug default=go1.21',
);

/** Generates a text that is similar to a go.mod. */
export const modfileText = fc
  .tuple(
    fc.constantFrom('', '\ufeff', 'module a.b/c\n', 'module a.b/c\ngo 1.24\n', 'module "a.b/c"\n', 'module `a.b/c`\n'),
    fc.array(
      fc.oneof(
        { weight: 24, arbitrary: legalLine },
        { weight: 2, arbitrary: wildLine },
        {
          weight: 1,
          arbitrary: fc.constantFrom(
            'retract (',
            'require (',
            ')',
            'module (',
            'go (',
            '\tv1.0.0',
            '\t[v1.0.0, v1.9.9]',
            '\ta.b/c v1.0.0',
          ),
        },
      ),
      { maxLength: 8 },
    ),
    fc.constantFrom('\n', '\r\n', '\n\n'),
  )
  .map(([start, lines, end]) => start + lines.join(end) + end);

/** Generates such a text with inserted bytes that are not valid UTF-8, in base64. */
export const brokenUtf8 = (text: fc.Arbitrary<string>) =>
  fc
    .tuple(
      text,
      fc.array(
        fc.tuple(
          fc.double({ min: 0, max: 1, noNaN: true }),
          fc.constantFrom('ff', 'e282', 'c0af', 'eda080', 'f09f98', '80', '00'),
        ),
        { minLength: 1, maxLength: 3 },
      ),
    )
    .map(([whole, breaks]) => {
      let bytes = Buffer.from(whole);
      for (const [where, hex] of breaks) {
        const at = Math.floor(where * bytes.length);
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(hex, 'hex'), bytes.subarray(at)]);
      }
      return bytes.toString('base64');
    });
