import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Refuse, Skip } from '../../src/errors.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { Ownership } from '../../src/resolve/ownership.ts';
import { Resolver } from '../../src/resolve/resolver.ts';
import { downloadDirect, type DirectDownload } from '../fake-gitlab/direct-mode.ts';
import { startGitLab, type StandIn } from '../fake-gitlab/stand-in.ts';
import { modulePath } from '../proxy/modules.ts';
import { makeRepositories, PREFIX } from './repositories.ts';

let gitlab: StandIn;
let direct: DirectDownload;
let resolver: Resolver;
/** The commits of the repositories by name (see `makeRepositories`). */
let commits: ReadonlyMap<string, string>;

/** A module below the prefix, and a query for it. `{name}` stands for the commit of that name, `{name:7}` for its first digits. */
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

beforeAll(async () => {
  gitlab = await startGitLab({ archiveLimit: 'off' });
  commits = await makeRepositories(gitlab);
  const client = new GitLabClient({
    url: gitlab.url,
    token: gitlab.createToken({ scopes: ['read_api'], role: 'reporter' }),
    beforeCall: async () => undefined,
  });
  resolver = new Resolver(client, new Ownership(PREFIX));
  direct = await downloadDirect(
    gitlab,
    PREFIX,
    ...[...ACCEPTED, ...REFUSED].map((query) => `${PREFIX}/group/${filled(query)}`),
  );
}, 120_000);
afterAll(async () => {
  await direct?.[Symbol.asyncDispose]();
  await gitlab?.close();
});

describe('a query gives the version of direct mode', () => {
  test.each(ACCEPTED)('%s', async (query) => {
    const [module, name] = split(query);
    const truth = answerOf(module, name);
    expect(truth.Error).toBeUndefined();
    const stored = JSON.parse(await readFile(truth.Info ?? '', 'utf8')) as { Time: string };
    const found = JSON.parse(await resolver.info(modulePath(module), name)) as {
      Version: string;
      Time: string;
      Origin: object;
    };
    expect({ Version: found.Version, Time: found.Time }).toEqual({ Version: truth.Version, Time: stored.Time });
    const { VCS, Subdir, Hash } = truth.Origin ?? {};
    expect(found.Origin).toMatchObject({ VCS, URL: urlOf(query), ...(Subdir !== undefined && { Subdir }), Hash });
  });

  // Each query is made alone: in a call with others, the go command answers from what it has read for them.
  test.each([
    'lib@main',
    'lib@HEAD',
    'lib@v1.0.0',
    'lib@{untagged:12}',
    'lib@v1.1.1-0.{untagged:time}-{untagged:12}',
    'two/v2@main',
    'mono/sub@v0.3.0',
    'mono/sub@sub-tag',
    'mono/sub@main',
  ])('%s has the origin of direct mode in every field', async (query) => {
    const [module, name] = split(query);
    await using alone = await downloadDirect(gitlab, PREFIX, `${module}@${name}`);
    const found = JSON.parse(await resolver.info(modulePath(module), name)) as { Origin: object };
    expect(found.Origin).toEqual({ ...alone.modules[0]?.Origin, URL: urlOf(query) });
  });
});

describe('a query that direct mode refuses is refused with a reason', () => {
  test.each(REFUSED)('%s', async (query) => {
    const [module, name] = split(query);
    expect(answerOf(module, name).Error).toBeDefined();
    const error: unknown = await resolver.info(modulePath(module), name).catch((reason: unknown) => reason);
    expect(error instanceof Skip || error instanceof Refuse, String(error)).toBe(true);
  });
});

/** The URL of the repository by GitLab's API. In direct mode it has another host, by which the stand-in is reached. */
function urlOf(query: string): string {
  return `${gitlab.url}/group/${query.replace(/[@/].*|\.git.*/, '')}.git`;
}

function split(query: string): [string, string] {
  const full = `${PREFIX}/group/${filled(query)}`;
  const at = full.indexOf('@');
  return [full.slice(0, at), full.slice(at + 1)];
}

function filled(query: string): string {
  return query.replace(/\{([a-z0-9-]+)(?::(\w+))?\}/g, (_, name: string, part = '40') => {
    const value = commits.get(part === 'time' ? `${name} time` : name);
    if (value === undefined) throw new Error(`no commit ${name}`);
    return part === 'time' ? value : value.slice(0, Number(part));
  });
}

function answerOf(module: string, name: string) {
  const answer = direct.modules.find(
    (candidate) => candidate.Path === module && (candidate.Query ?? candidate.Version) === name,
  );
  if (!answer) throw new Error(`go mod download did not answer for ${module}@${name}`);
  return answer;
}
