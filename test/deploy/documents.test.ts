import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/app/metrics.ts';
import { settingsTable } from '../../src/config/settings.ts';

const root = new URL('../../', import.meta.url);

function text(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'deploy/README.md',
  'docs/architecture.md',
  ...filesOf('docs/decisions', '.md'),
];

describe('README.md', () => {
  it('has the table of modpress serve --help', () => {
    expect(text('README.md')).toContain(`\`\`\`text\n${settingsTable()}\n\`\`\``);
  });

  it('lists every metric that there is, and no other', async () => {
    const metrics = createMetrics();
    metrics.watchQueue(async () => ({ waiting: 0, active: 0, delayed: 0 }));
    const names = (await metrics.registry.getMetricsAsJSON())
      .map(({ name }) => name)
      .filter((name) => name.startsWith('modpress_'));
    const listed = Array.from(text('README.md').matchAll(/^\| `(modpress_[a-z_]+)` \|/gm), ([, name = '']) => name);
    expect(listed.toSorted()).toEqual(names.toSorted());
  });
});

describe.each(documents)('%s', (path) => {
  it('links to what exists', () => {
    const links = Array.from(text(path).matchAll(/\]\((?!https?:)([^)#]*)(#[^)]*)?\)/g), ([, target = '']) => target);
    for (const link of links) expect(existsSync(new URL(link, new URL(path, root))), link).toBe(true);
  });

  it('names files that exist', () => {
    const named = Array.from(text(path).matchAll(/\b(?:src|test)\/[\w./-]*\w/g), ([name]) => name);
    for (const name of named) expect(existsSync(new URL(name, root)), name).toBe(true);
  });
});

describe('docs/architecture.md', () => {
  const named = new Set(
    Array.from(text('docs/architecture.md').matchAll(/`(?:[\w-]+\/)*([\w-]+\.ts)`/g), ([, name = '']) => name),
  );

  it('names every file of src/', () => {
    const files = filesOf('src', '.ts').filter((path) => path !== 'src/module/unicode-tables.ts');
    expect(files.filter((path) => !named.has(basename(path)))).toEqual([]);
  });

  it('names no other', () => {
    const names = new Set([...filesOf('src', '.ts'), ...filesOf('test', '.ts')].map((path) => basename(path)));
    expect([...named].filter((name) => !names.has(name))).toEqual([]);
  });
});

describe('docs/decisions', () => {
  it.each(filesOf('docs/decisions', '.md'))('%s says what, why and when to revisit, on one page', (path) => {
    const headings = text(path)
      .split('\n')
      .filter((line) => line.startsWith('#'));
    expect(headings[0]).toMatch(new RegExp(`^# ${basename(path).slice(0, 4)}: `));
    expect(headings.slice(1)).toEqual(['## What', '## Why', '## When to revisit']);
    expect(text(path).split('\n').length).toBeLessThanOrEqual(40);
  });
});

/** Paths of the files below a folder of the repository whose names end so. */
function filesOf(folder: string, ending: string): string[] {
  const paths = readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => path.endsWith(ending)).map((path) => `${folder}/${path}`);
}
