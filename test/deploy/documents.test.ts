import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/app/metrics.ts';
import { settingsTable } from '../../src/config/settings.ts';
import { runModpress } from '../e2e/service.ts';

const root = new URL('../../', import.meta.url);
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  'deploy/README.md',
  ...filesOf('docs', '.md'),
];
const decisions = filesOf('docs/decisions', '.md').filter((path) => basename(path) !== 'README.md');
const sources = filesOf('src', '.ts');

/** The help text of each command. The empty name has the help text of modpress itself. */
const helps = new Map<string, string>();

beforeAll(async () => {
  const usage = await helpOf();
  helps.set('', usage);
  const commands = new Set(matchesIn(usage, /^ {2}modpress ([a-z]+)/gm));
  await Promise.all([...commands].map(async (command) => helps.set(command, await helpOf(command))));
}, 120_000);

describe('README.md', () => {
  it('has the table of modpress serve --help', () => {
    expect(text('README.md')).toContain(`\`\`\`text\n${settingsTable()}\n\`\`\``);
  });

  it('has at most 200 lines', () => {
    expect(text('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(200);
  });

  it('links to every other document, directly or through other documents', () => {
    const reached = new Set(['README.md']);
    // The loop also visits the documents that are added to the set meanwhile.
    for (const document of reached)
      for (const { path } of linksOf(document)) if (documents.includes(path)) reached.add(path);
    expect(documents.filter((document) => !reached.has(document))).toEqual([]);
  });
});

describe.each(documents)('%s', (document) => {
  it('links to files and headings that exist', () => {
    for (const { link, path, anchor } of linksOf(document)) {
      expect(existsSync(new URL(path, root)), link).toBe(true);
      if (anchor !== '') expect(anchorsOf(path), link).toContain(anchor);
    }
  });

  it('names files of src/ and test/ that exist', () => {
    for (const [name] of text(document).matchAll(/\b(?:src|test)\/[\w./-]*\w/g))
      expect(existsSync(new URL(name, root)), name).toBe(true);
  });

  it('names commands and options of modpress that exist', () => {
    const wrong = commandsOf(document).filter((words) => !isCommand(words));
    expect(wrong.map((words) => words.join(' '))).toEqual([]);
  });

  it('names scripts of package.json that exist', () => {
    const { scripts } = JSON.parse(text('package.json')) as { scripts: Record<string, string> };
    const named = matchesIn(text(document), /\bnpm run (?:--silent )?([\w:-]+)/g);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});

describe('docs/operations/index.md', () => {
  it('lists every metric and no other', async () => {
    const metrics = createMetrics();
    metrics.watchQueue(async () => ({ waiting: 0, active: 0, delayed: 0 }));
    const names = (await metrics.registry.getMetricsAsJSON())
      .map(({ name }) => name)
      .filter((name) => name.startsWith('modpress_'));
    const listed = matchesIn(text('docs/operations/index.md'), /^\| `(modpress_[a-z_]+)` +\|/gm);
    expect(listed.toSorted()).toEqual(names.toSorted());
  });
});

describe('docs/operations/logs.md', () => {
  const rows = new Map(
    Array.from(
      text('docs/operations/logs.md').matchAll(/^\| `([a-z-]+\.[a-z.-]+)` +\| ([a-z, ]+?) +\|/gm),
      ([, event, levels]) => [event ?? '', (levels ?? '').split(', ')],
    ),
  );

  it('lists every event of src/ and no other', () => {
    const events = new Set(sources.flatMap((path) => matchesIn(text(path), /\bevent: '([^']*)'/g)));
    expect([...rows.keys()].toSorted()).toEqual([...events].toSorted());
  });

  it('lists the levels of each event', () => {
    const levels = new Map<string, Set<string>>();
    for (const { level, event } of sources.flatMap(logCallsOf))
      if (event !== undefined) levels.set(event, (levels.get(event) ?? new Set()).add(level));
    const wrong = [...levels].filter(
      ([event, set]) => rows.get(event)?.toSorted().join() !== [...set].toSorted().join(),
    );
    expect(wrong.map(([event, set]) => `${event}: ${[...set].join(', ')}`)).toEqual([]);
  });

  it('describes log calls that begin with their event, all of them', () => {
    const calls = sources.flatMap((path) => logCallsOf(path).map(({ event, line }) => ({ path, event, line })));
    expect(calls.length).toBeGreaterThan(40);
    expect(calls.filter(({ event }) => event === undefined).map(({ path, line }) => `${path}:${line}`)).toEqual([]);
  });
});

describe('docs/architecture.md', () => {
  it('has a row for every room of src/ and for no other', () => {
    const rooms = readdirSync(new URL('src/', root)).filter((name) =>
      statSync(new URL(`src/${name}`, root)).isDirectory(),
    );
    const described = matchesIn(text('docs/architecture.md'), /^\| `src\/([\w-]+)\/` +\|/gm);
    expect(described.toSorted()).toEqual(rooms.toSorted());
  });
});

describe('docs/decisions', () => {
  it.each(decisions)('%s says what, why and when to revisit, on one page', (path) => {
    const headings = text(path)
      .split('\n')
      .filter((line) => line.startsWith('#'));
    expect(headings[0]).toMatch(new RegExp(`^# ${basename(path).slice(0, 4)}: `));
    expect(headings.slice(1)).toEqual(['## What', '## Why', '## When to revisit']);
    expect(text(path).split('\n').length).toBeLessThanOrEqual(40);
  });
});

function text(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}

/** Paths of the files below a folder of the repository whose names have this ending. */
function filesOf(folder: string, ending: string): string[] {
  const paths = readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => path.endsWith(ending)).map((path) => `${folder}/${path}`);
}

/** What the first group of the expression matches. */
function matchesIn(content: string, expression: RegExp): string[] {
  return Array.from(content.matchAll(expression), ([, group = '']) => group);
}

interface Link {
  /** As written in the document. */
  readonly link: string;
  /** From the root of the repository. */
  readonly path: string;
  readonly anchor: string;
}

/** The links of a document to files of the repository. */
function linksOf(document: string): Link[] {
  return matchesIn(text(document), /\]\((?!https?:)([^)]+)\)/g).map((link) => {
    const url = new URL(link, new URL(document, root));
    return { link, path: url.pathname.slice(root.pathname.length), anchor: url.hash.slice(1) };
  });
}

/** The anchors that GitLab and GitHub give to the headings of a document. */
function anchorsOf(document: string): string[] {
  return matchesIn(withoutCodeBlocks(text(document)), /^#+ (.*)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function withoutCodeBlocks(content: string): string {
  return content.replaceAll(/^```[^]*?^```$/gm, '');
}

/** The words after `modpress` or `node dist/main.js`, for each command in the code of a document. */
function commandsOf(document: string): string[][] {
  const content = text(document);
  const code = [
    ...matchesIn(content, /^```\w*\n([^]*?)^```$/gm).map((block) => block.replaceAll(/\\\n/g, ' ')),
    ...matchesIn(withoutCodeBlocks(content), /`([^`\n]+)`/g),
  ];
  return code
    .flatMap((part) => matchesIn(part, /(?:^|[\s(])(?:modpress|node (?:\/app\/)?dist\/main\.js)(?: +([^\n#|;&)]*))?/gm))
    .map((words) => words.trim().split(/\s+/))
    .filter(([first = '']) => first !== '');
}

/**
 * Whether the first word is a command, the second is one of its subcommands (if it has any), and all options are in its
 * help text.
 */
function isCommand([first = '', ...words]: string[]): boolean {
  if (first.startsWith('-')) return hasOption(helps.get('') ?? '', first);
  const help = first === '' ? undefined : helps.get(first);
  if (help === undefined) return false;
  const subcommands = matchesIn(help, new RegExp(`^.{7}modpress ${first} ([a-z]+)\\b`, 'gm'));
  if (subcommands.length > 0 && words[0] !== undefined && !subcommands.includes(words[0])) return false;
  return words
    .filter((word) => word.startsWith('--'))
    .every((option) => option === '--help' || hasOption(help, option));
}

function hasOption(help: string, option: string): boolean {
  const [name = ''] = option.split('=');
  return new RegExp(`${name}(?![\\w-])`).test(help);
}

async function helpOf(...command: string[]): Promise<string> {
  const { status, stdout, stderr } = await runModpress([...command, '--help']);
  if (status !== 0) throw new Error(`modpress ${command.join(' ')} --help failed: ${stderr}`);
  return stdout;
}

/** The log calls of a source file. `event` is undefined if the first argument does not begin with a valid event. */
function logCallsOf(
  path: string,
): { readonly level: string; readonly event: string | undefined; readonly line: number }[] {
  const source = text(path);
  const calls = source.matchAll(/\blog\??\.(trace|debug|info|warn|error|fatal)\(\s*(?:\{\s*event: '([^']*)')?/g);
  return Array.from(calls, ({ 1: level = '', 2: event, index }) => ({
    level,
    event: event !== undefined && EVENT.test(event) ? event : undefined,
    line: source.slice(0, index).split('\n').length,
  }));
}

/** Lower case, dots between, hyphens inside words: `tag.published`. */
const EVENT = /^[a-z]+(?:-[a-z]+)*(?:\.[a-z]+(?:-[a-z]+)*)+$/;
