import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { ModulePath } from '../../src/module/path.ts';
import { parseVersion, type Version } from '../../src/module/version.ts';
import { fits } from '../../src/store/key.ts';
import {
  deletedTagKey,
  moduleKey,
  outcomeKey,
  outcomesOfTagPrefix,
  parseInfoKey,
  parseModuleKey,
  parseOutcomeKey,
  parseWithdrawalKey,
  withdrawalKey,
} from '../../src/store/layout.ts';

/** A commit id has 40 digits, or 64 digits in a repository with SHA-256. */
describe.each([40, 64])('an outcome of a repository with commit ids of %i digits', (digits) => {
  const commit = '0123456789abcdef'.repeat(4).slice(0, digits);
  const tags = Array.from({ length: 300 }, (_, index) => [
    `a${'a'.repeat(index)}/v1.0.0`,
    `B${'B'.repeat(index)}/v1.0.0`,
    `${'ü'.repeat(index)}%@/v1.0.0`,
  ]).flat();

  test('has a unique key that every store accepts, for any tag', () => {
    const keys = tags.flatMap((tag) => [outcomeKey(1, tag, commit), deletedTagKey(1, tag, commit)]);
    expect(keys.filter((key) => !fits(key))).toEqual([]);
    expect(keys.filter((key) => /[A-Z]/.test(key))).toEqual([]);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('is found by its tag, and its key contains the tag unless the tag is too long', () => {
    for (const tag of tags) {
      const key = outcomeKey(1, tag, commit);
      expect(key.startsWith(outcomesOfTagPrefix(1, tag, commit))).toBe(true);
      expect([undefined, tag]).toContain(parseOutcomeKey(1, key)?.name);
    }
    expect(parseOutcomeKey(1, outcomeKey(1, 'sub/Dir/v1.0.0', commit))).toEqual({ name: 'sub/Dir/v1.0.0', commit });
  });
});

test('the keys of outcomes remain stable, because with other keys, every tag would be processed again', () => {
  const commit = 'a'.repeat(40);
  expect(outcomeKey(7, 'sub/V1', commit)).toBe(`outcomes/7/sub%2f!v1@${commit}.json`);
  expect(outcomeKey(7, 'a'.repeat(200), commit)).toBe(`outcomes/7/${'a'.repeat(200)}@${commit}.json`);
  expect(outcomeKey(7, 'a'.repeat(201), commit)).toMatch(/^outcomes\/7\/a{130}~[0-9a-f]{64}@a{40}\.json$/);
});

test('the keys of module files and withdrawals can be parsed', () => {
  const module = 'gitlab.example/Group/lib' as ModulePath;
  const version = parseVersion('v1.2.3-RC.1') ?? ('' as Version);
  for (const file of ['zip', 'mod', 'info'] as const) {
    const key = moduleKey(module, version, file);
    expect(parseModuleKey(key)).toEqual({ module, version, file });
    expect(parseInfoKey(module, key)).toBe(file === 'info' ? version : undefined);
  }
  expect(parseWithdrawalKey(module, withdrawalKey(module, version))).toBe(version);
  for (const key of [
    'modules/x/@v/list',
    'modules/x/@v/v1.info',
    'modules/x/@v/v1.0.0.txt',
    'upstream/x/@v/v1.0.0.zip',
  ])
    expect(parseModuleKey(key)).toBeUndefined();
});

test('no other file contains a key as text', async () => {
  const source = fileURLToPath(new URL('../../src', import.meta.url));
  const files = (await readdir(source, { recursive: true })).filter((file) => file.endsWith('.ts'));
  const offenders: string[] = [];
  for (const file of files) {
    if (file === 'store/layout.ts') continue;
    const lines = (await readFile(`${source}/${file}`, 'utf8')).split('\n');
    const code = lines.filter((line) => !/^\s*(?:\*|\/\*|\/\/)/.test(line)).join('\n');
    // Matches a string, template or regular expression that begins with the name of a prefix.
    if (/(?:['"`]|\/\^)(?:modules|outcomes|withdrawn|index|sweep|upstream)(?:\\)?\//.test(code)) offenders.push(file);
  }
  expect(files).toContain('store/layout.ts');
  expect(offenders).toEqual([]);
});
