import { readFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { Refuse, Skip } from '../../src/errors.ts';
import { downloadDirect, type DownloadedModule } from '../fake-gitlab/direct-mode.ts';
import type { StandIn } from '../fake-gitlab/stand-in.ts';
import { modulePath } from '../proxy/modules.ts';
import { PREFIX, test as base } from './fixtures.ts';
import { createRepositories } from './repositories.ts';

/**
 * Modules below the prefix, with queries. `{name}` stands for the id of the commit with this name, `{name:7}` for its
 * first seven digits, and `{name:time}` for its time in a pseudo-version.
 */
const ACCEPTED = [
  'lib@main',
  'lib@HEAD',
  'lib@v1.0.0',
  'lib@v1.1.0',
  'lib@v1.2.0-rc.1',
  'lib@{first}',
  'lib@{first:7}',
  'lib@{untagged}',
  'lib@{untagged:12}',
  'lib@{after}',
  'lib@fork',
  'lib@old',
  'lib@nightly',
  'lib@{root}',
  'lib.git@main',
  'lib@pre',
  'lib@v1.1.1-0.{after:time}-{after:12}',
  'lib@v1.0.1-0.{after:time}-{after:12}',
  'lib@v0.0.0-{root:time}-{root:12}',
  'lib@v0.0.0-{after:time}-{after:12}',
  'untagged@main',
  'untagged@HEAD',
  'untagged@{untagged-only:40}',
  'two/v2@main',
  'two/v2@v2.0.0',
  'two/v2@v2.1.0',
  'two@v1.0.0',
  'two/v2@{two-after}',
  'three/v3@dir',
  'three@dir',
  'mono/sub@main',
  'mono/sub@sub-tag',
  'mono/sub@v0.3.0',
  'mono@main',
  'mono/sub/deep@main',
  'mono/sub@{mono}',
  'retracted@main',
  'retracted@{retracted-bad}',
  'retracted@{retracted-1}',
  'legacy@main',
  'legacy@v1.0.0',
  'legacy@v2.0.0+incompatible',
  'legacy@{legacy-2}',
  'legacy@v2.0.0',
  'legacy@{legacy-after}',
  'meta@{meta}',
  'meta@main',
] as const;

const REFUSED = [
  'lib@none',
  'lib@v9.9.9',
  'lib@v1.9.9',
  'lib@feature',
  'lib@{merge-request}',
  'lib@{merge-request:12}',
  'lib@0123456',
  'lib@{after:6}',
  'lib@v1.1.1-0.20200101000000-{after:12}',
  'lib@v1.1.1-0.{after:time}-{after:11}',
  'lib@v1.1.1-0.{after:time}-{after:13}',
  'lib@v1.5.1-0.{after:time}-{after:12}',
  'lib@v1.2.0-rc.1.0.{after:time}-{after:12}',
  'lib@v1.0.0-{after:time}-{after:12}',
  'lib@v1.0.1-0.{first:time}-{first:12}',
  'lib@v1.0.0-0.{after:time}-{after:12}',
  'lib@v2.0.0-{after:time}-{after:12}',
  'lib@v0.0.0-20241301000000-{after:12}',
  'lib@v1.0.0+incompatible',
  'lib/v2@main',
  'lib/pkg@main',
  'none@main',
  'lib/v2@v2.0.0',
  'two@v2.0.0',
  'two/v2@v1.0.0',
  'two/v3@main',
  'mono/other@main',
  'mono/sub@v9.0.0',
  'both/v2@main',
  'three/v2@main',
  'legacy@v2.1.0+incompatible',
  'legacy@v1.0.0+incompatible',
] as const;

const test = base
  /** The commits of the repositories by name, as `createRepositories` returns them. */
  .extend('commits', { scope: 'file' }, ({ gitlab }) => createRepositories(gitlab))
  /** Splits a query into the module path and the version, with the commits in place of their names. */
  .extend('parse', { scope: 'file' }, ({ commits }) => (query: string): [module: string, version: string] => {
    const full = `${PREFIX}/group/${withCommits(query, commits)}`;
    const at = full.indexOf('@');
    return [full.slice(0, at), full.slice(at + 1)];
  })
  /** Returns the result of direct mode for a query. */
  .extend('directResultOf', { scope: 'file' }, async ({ gitlab, parse }, { onCleanup }) => {
    const queries = [...ACCEPTED, ...REFUSED].map((query) => parse(query).join('@'));
    const direct = await downloadDirect(gitlab, PREFIX, ...queries);
    onCleanup(() => direct[Symbol.asyncDispose]());
    return (query: string): DownloadedModule => {
      const [module, version] = parse(query);
      const result = direct.modules.find(
        ({ Path, Query, Version }) => Path === module && (Query ?? Version) === version,
      );
      if (!result) throw new Error(`go mod download returned no result for ${query}`);
      return result;
    };
  })
  .extend('resolver', { scope: 'file' }, ({ createResolver }) => createResolver());

// The time limit of the first test does not cover the repositories and the downloads.
test.beforeAll(({ directResultOf }) => void directResultOf, 120_000);

describe('a query returns the version of direct mode', () => {
  test.for(ACCEPTED)('%s', async (query, { gitlab, parse, directResultOf, resolver }) => {
    const [module, version] = parse(query);
    const expected = directResultOf(query);
    expect(expected.Error).toBeUndefined();
    const stored = JSON.parse(await readFile(expected.Info ?? '', 'utf8')) as { Time: string };
    const found = JSON.parse(await resolver.info(modulePath(module), version)) as {
      Version: string;
      Time: string;
      Origin: object;
    };
    expect({ Version: found.Version, Time: found.Time }).toEqual({ Version: expected.Version, Time: stored.Time });
    const { VCS, Subdir, Hash } = expected.Origin ?? {};
    expect(found.Origin).toMatchObject({
      VCS,
      URL: urlOf(query, gitlab),
      ...(Subdir !== undefined && { Subdir }),
      Hash,
    });
  });

  // Each query is a separate call of the go command. In one call, a query may use what the go command has read for
  // another.
  test.for([
    'lib@main',
    'lib@HEAD',
    'lib@v1.0.0',
    'lib@{untagged:12}',
    'lib@v1.1.1-0.{untagged:time}-{untagged:12}',
    'two/v2@main',
    'mono/sub@v0.3.0',
    'mono/sub@sub-tag',
    'mono/sub@main',
  ])('%s has the origin of direct mode in every field', async (query, { gitlab, parse, resolver }) => {
    const [module, version] = parse(query);
    await using alone = await downloadDirect(gitlab, PREFIX, `${module}@${version}`);
    const found = JSON.parse(await resolver.info(modulePath(module), version)) as { Origin: object };
    expect(found.Origin).toEqual({ ...alone.modules[0]?.Origin, URL: urlOf(query, gitlab) });
  });
});

describe('a query that direct mode refuses is refused with a reason', () => {
  test.for(REFUSED)('%s', async (query, { parse, directResultOf, resolver }) => {
    const [module, version] = parse(query);
    expect(directResultOf(query).Error).toBeDefined();
    const error: unknown = await resolver.info(modulePath(module), version).catch((reason: unknown) => reason);
    expect(error instanceof Skip || error instanceof Refuse, String(error)).toBe(true);
  });
});

/**
 * The URL of the repository in GitLab's API. In direct mode, the URL has the host through which git connects to the
 * fake GitLab.
 */
function urlOf(query: string, gitlab: StandIn): string {
  return `${gitlab.url}/group/${query.replace(/[@/].*|\.git.*/, '')}.git`;
}

function withCommits(query: string, commits: ReadonlyMap<string, string>): string {
  return query.replace(/\{([a-z0-9-]+)(?::(\w+))?\}/g, (_, name: string, part = '40') => {
    const value = commits.get(part === 'time' ? `${name} time` : name);
    if (value === undefined) throw new Error(`there is no commit ${name}`);
    return part === 'time' ? value : value.slice(0, Number(part));
  });
}
