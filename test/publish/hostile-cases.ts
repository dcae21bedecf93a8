import { lines, numbers, words } from '../hostile/text.ts';
import type { Case } from './cases.ts';

const GO_MOD = 'module PROJECT\n\ngo 1.24\n';
const LINES = 'one\n$Id$\ntwo\n';
const files = (count: number): Record<string, string> =>
  Object.fromEntries(numbers(count).map((index) => [`f${index}.txt`, LINES]));

/** Creates a repository with one tag, whose version the go command accepts. */
function accepted(name: string, content: Case['files']): Case {
  return { name, files: { 'go.mod': GO_MOD, ...content }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] };
}

/**
 * Repositories of somebody who wants to keep modpress from its work: on the wrong way, they take quadratic time, too
 * much memory, or too deep a recursion. The go command accepts them.
 */
export const HOSTILE_CASES: readonly Case[] = [
  accepted('a go.mod with a line of spaces', { 'go.mod': `${GO_MOD}x${' '.repeat(100_000)}x\n` }),
  accepted('a go.mod with 300,000 retractions', { 'go.mod': GO_MOD + 'retract v0.0.1\n'.repeat(300_000) }),
  accepted('a go.mod with a version of seven million identifiers', {
    'go.mod': `${GO_MOD}require a.b/c v1.0.0-${'1.'.repeat(7_000_000)}1\n`,
    'sub/vendor/a/b.go': 'package a\n',
  }),
  accepted('a go.mod with a string of sixteen megabytes', { 'go.mod': `${GO_MOD}x "${'x'.repeat(16_000_000)}"\n` }),
  // GitLab accepts no push with longer lines.
  accepted('.gitattributes with 200,000 attributes', {
    '.gitattributes': `${lines(1000, (line) => `* ${words(200, (index) => `a${200 * line + index}`)}`)}\n*.txt eol=crlf export-ignore\n`,
    ...files(500),
  }),
  accepted('.gitattributes with 8,000 macros in a chain', {
    '.gitattributes': `${lines(8000, (index) => `[attr]m${index} m${index + 1}`)}\n[attr]m8000 ident eol=crlf export-ignore\n* m0\ngo.mod !export-ignore\n`,
    ...files(100),
  }),
  accepted('.gitattributes of two megabytes', {
    '.gitattributes': `${'# comment\n'.repeat(200_000)}*.txt ident eol=crlf\n`,
    ...files(10),
  }),
  accepted('a symlink with a target of five megabytes', { link: { symlink: 'x'.repeat(5_000_000) }, ...files(3) }),
  accepted('a file of a million line ends', {
    '.gitattributes': '*.txt eol=crlf ident\n',
    'a.txt': '\n$Id$'.repeat(10 ** 6),
  }),
];
