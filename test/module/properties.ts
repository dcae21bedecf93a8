import * as fc from 'fast-check';
import type { TreeFile } from '../../src/module/check-files.ts';
import { goModOf, isGo124OrLater } from '../../src/module/modfile.ts';
import {
  checkFilePath,
  checkModulePath,
  escapePath,
  parseModulePath,
  splitPathVersion,
  unescapePath,
  type ModulePath,
} from '../../src/module/path.ts';
import { parsePseudoVersion, pseudoVersion } from '../../src/module/pseudo.ts';
import {
  canonicalVersion,
  checkModuleVersion,
  compareVersions,
  escapeVersion,
  isPseudoVersion,
  isSemver,
  majorOf,
  matchesMajor,
  parseVersion,
  prereleaseOf,
  unescapeVersion,
} from '../../src/module/version.ts';
import { checkFiles } from './check-files.ts';
import { hashOf } from './hash-of.ts';
import { isInRange, parsedModfile } from './parsed.ts';
import {
  brokenUtf8,
  modfileText,
  modulePathText,
  tellingText,
  tree,
  treePath,
  versionText,
  type FuzzTree,
} from './arbitraries.ts';
import type { Oracle } from './oracle.ts';

/** A rule that golang.org/x/mod defines. For each input, modpress and x/mod must return equal results. */
export interface Property {
  readonly name: string;
  /** Generates JSON values only, so that a counter-example can be stored in a file. */
  readonly input: fc.Arbitrary<unknown>;
  /** Returns the result of modpress (`ours`) and the result of x/mod (`theirs`). */
  readonly answers: (oracle: Oracle, input: unknown) => Promise<{ ours: unknown; theirs: unknown }>;
  /** The number of inputs that the tests try. */
  readonly runs: number;
}

/** All properties. */
export const PROPERTIES: readonly Property[] = [
  property('trees', tree, 10_000, zipAnswers),
  property('module paths', modulePathText, 3_000, async (oracle, text) => {
    const [legal, split, escaped] = await Promise.all([
      oracle.ask({ Op: 'checkPath', Text: text }),
      oracle.ask({ Op: 'splitPathVersion', Text: text }),
      oracle.ask({ Op: 'escapePath', Text: text }),
    ]);
    const path = parseModulePath(text);
    const parts = splitPathVersion(text);
    return {
      ours: [
        checkModulePath(text) === undefined,
        parts && [parts.prefix, parts.major],
        typeof path === 'string' ? escapePath(path) : undefined,
      ],
      theirs: [legal.OK, split.OK ? split.Parts : undefined, escaped.OK ? escaped.Text : undefined],
    };
  }),
  property(
    'escaped paths',
    fc.oneof(
      modulePathText,
      modulePathText.map((text) => text.replaceAll(/[A-Z]/g, (char) => `!${char.toLowerCase()}`)),
      fc.constantFrom('a.b/!', 'a.b/!!c', '!a.b'),
    ),
    3_000,
    async (oracle, text) => {
      const { OK, Text } = await oracle.ask({ Op: 'unescapePath', Text: text });
      const path = unescapePath(text);
      return { ours: typeof path === 'string' ? path : undefined, theirs: OK ? Text : undefined };
    },
  ),
  property('file paths', fc.oneof(treePath, tellingText), 5_000, async (oracle, text) => ({
    ours: checkFilePath(text) === undefined,
    theirs: (await oracle.ask({ Op: 'checkFilePath', Text: text })).OK,
  })),
  property('versions', versionText, 5_000, versionAnswers),
  property(
    'escaped versions',
    fc.oneof(
      versionText,
      versionText.map((text) => text.replaceAll(/[A-Z]/g, (char) => `!${char.toLowerCase()}`)),
      fc.tuple(versionText, fc.constantFrom('!', '!!', '!!a', '!1', '!a', '!é')).map(([text, end]) => text + end),
    ),
    2_000,
    async (oracle, text) => {
      const { OK, Text } = await oracle.ask({ Op: 'unescapeVersion', Text: text });
      return { ours: unescapeVersion(text), theirs: OK ? Text : undefined };
    },
  ),
  property('versions to escape', versionText, 2_000, async (oracle, text) => {
    const version = parseVersion(text);
    if (version === undefined)
      return {
        ours: false,
        theirs: (await oracle.ask({ Op: 'canonicalVersion', Text: text })).Text === text && text !== '',
      };
    return { ours: escapeVersion(version), theirs: (await oracle.ask({ Op: 'escapeVersion', Text: version })).Text };
  }),
  property('pairs of versions', fc.tuple(versionText, versionText), 5_000, async (oracle, [one, other]) => ({
    ours: Math.sign(compareVersions(one, other)),
    theirs: (await oracle.ask({ Op: 'compareVersions', Text: one, Other: other })).Int,
  })),
  property(
    'versions of a path',
    fc.tuple(
      fc.constantFrom('a.b/c', 'a.b/c/v2', 'gopkg.in/c.v1', 'gopkg.in/c.v2', 'gopkg.in/c.v2-unstable', 'a.b/c/v3'),
      versionText,
    ),
    3_000,
    async (oracle, [path, text]) => {
      const version = parseVersion(text);
      if (version === undefined)
        return {
          ours: false,
          theirs: (await oracle.ask({ Op: 'canonicalVersion', Text: text })).Text === text && text !== '',
        };
      return {
        ours: checkModuleVersion(path as ModulePath, version) === undefined,
        theirs: (await oracle.ask({ Op: 'check', Text: path, Other: version })).OK,
      };
    },
  ),
  property(
    'pseudo-versions',
    fc.tuple(fc.constantFrom('', 'v0', 'v1', 'v2'), versionText, fc.integer({ min: 0, max: 4_102_444_800 })),
    3_000,
    async (oracle, [major, base, seconds]) => ({
      ours: pseudoVersion(major, isSemver(base) ? base : '', new Date(seconds * 1000), 'abcdef012345'),
      theirs: (await oracle.ask({ Op: 'pseudoVersion', Text: major, Other: isSemver(base) ? base : '', Int: seconds }))
        .Text,
    }),
  ),
  property(
    'retractions',
    fc.tuple(versionText, versionText, versionText),
    2_000,
    async (oracle, [low, version, high]) => ({
      ours: await isInRange(version, low, high),
      theirs: (await oracle.ask({ Op: 'isRetracted', Text: version, Parts: [low, high] })).OK,
    }),
  ),
  property('go.mod files with any bytes', brokenUtf8(modfileText), 2_000, async (oracle, base64) => {
    const gomod = Buffer.from(base64, 'base64');
    const [path, lax] = await Promise.all([
      oracle.ask({ Op: 'modulePath', Bytes: base64 }),
      oracle.ask({ Op: 'parseLax', Bytes: base64 }),
    ]);
    const ours = await parsedModfile(gomod);
    return {
      ours: [inOne((await goModOf(gomod)).declaredPath), ours?.go],
      theirs: [inOne(path.Text), lax.OK ? lax.Text : undefined],
    };
  }),
  property('go.mod files', modfileText, 5_000, async (oracle, text) => {
    const [path, lax] = await Promise.all([
      oracle.ask({ Op: 'modulePath', Text: text }),
      oracle.ask({ Op: 'parseLax', Text: text }),
    ]);
    const ours = await parsedModfile(Buffer.from(text));
    return {
      ours: [(await goModOf(Buffer.from(text))).declaredPath, ours && [ours.go, ours.bounds]],
      theirs: [path.Text, lax.OK ? [lax.Text, lax.Parts ?? []] : undefined],
    };
  }),
];

/**
 * Merges replacement characters. Go replaces each invalid byte, and JavaScript replaces several bytes at once. Neither
 * result is a valid path.
 */
function inOne(text: string): string {
  return text.replaceAll(/\ufffd+/g, '\ufffd');
}

/** Creates a property with a typed input, because the list contains inputs of several types. */
function property<T>(
  name: string,
  input: fc.Arbitrary<T>,
  runs: number,
  answers: (oracle: Oracle, input: T) => Promise<{ ours: unknown; theirs: unknown }>,
): Property {
  return { name, input, runs, answers: (oracle, value) => answers(oracle, value as T) };
}

async function zipAnswers(
  oracle: Oracle,
  { module, version, files }: FuzzTree,
): Promise<{ ours: unknown; theirs: unknown }> {
  // Files are in git's order, which is also the order of an archive. This order decides which of two colliding files is
  // reported.
  const inOrder = files.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  const theirFiles = inOrder.map(({ path, symlink, content }) => ({ Path: path, Symlink: symlink, Content: content }));
  const asked = Promise.all([
    oracle.ask({ Op: 'zip', Text: module, Other: version, Files: theirFiles }),
    oracle.ask({ Op: 'checkFiles', Files: theirFiles }),
  ]);
  const gomod = files.find(({ path }) => path === 'go.mod');
  const listed = files.map(({ path, symlink, content }): TreeFile & { content: string } => ({
    path,
    kind: symlink ? 'symlink' : 'file',
    content,
  }));
  const checked = await checkFiles(
    listed,
    gomod !== undefined && !gomod.symlink && (await isGo124OrLater(Buffer.from(gomod.content))),
  );
  const included = checked.included.map(({ path }) => path);
  const [zip, { Parts: verdict }] = await asked;
  const end = verdict?.indexOf('') ?? -1;
  return {
    ours: {
      included,
      invalid: checked.invalid.map(({ path }) => path),
      h1: checked.invalid.length > 0 ? 'refused' : await hashOf(module, version, checked.included),
    },
    theirs: { included: verdict?.slice(0, end), invalid: verdict?.slice(end + 1), h1: zip.OK ? zip.Text : 'refused' },
  };
}

async function versionAnswers(oracle: Oracle, text: string): Promise<{ ours: unknown; theirs: unknown }> {
  const [valid, canonical, major, prerelease, pseudo, parts, ...majors] = await Promise.all([
    oracle.ask({ Op: 'isSemver', Text: text }),
    oracle.ask({ Op: 'canonicalVersion', Text: text }),
    oracle.ask({ Op: 'majorOf', Text: text }),
    oracle.ask({ Op: 'prereleaseOf', Text: text }),
    oracle.ask({ Op: 'isPseudoVersion', Text: text }),
    oracle.ask({ Op: 'parsePseudoVersion', Text: text }),
    ...MAJORS.map((suffix) => oracle.ask({ Op: 'matchesMajor', Text: text, Other: suffix })),
  ]);
  const parsed = parsePseudoVersion(text);
  const theirParts = parts.Parts ?? [];
  return {
    ours: [
      isSemver(text),
      canonicalVersion(text),
      majorOf(text),
      prereleaseOf(text),
      isPseudoVersion(text),
      parsed && [parsed.revision, typeof parsed.base === 'string' ? parsed.base : 'none', parsed.timestamp],
      isSemver(text) && MAJORS.map((suffix) => matchesMajor(text, suffix)),
    ],
    theirs: [
      valid.OK,
      canonical.Text,
      major.Text,
      prerelease.Text,
      pseudo.OK,
      theirParts.length === 0 ? undefined : [theirParts[0], parts.OK ? theirParts[1] : 'none', theirParts[2]],
      valid.OK && majors.map(({ OK }) => OK),
    ],
  };
}

const MAJORS = ['', '/v2', '.v1', '.v2', '.v0', '.v2-unstable'];
