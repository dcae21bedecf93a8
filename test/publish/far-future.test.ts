import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import type { ModulePath } from '../../src/module/path.ts';
import { Ownership } from '../../src/resolve/ownership.ts';
import { Resolver } from '../../src/resolve/resolver.ts';
import { directEnv, downloadDirect, downloadWith } from '../fake-gitlab/direct-mode.ts';
import { pushedTag } from '../../src/queue/tag-job.ts';
import { HOST, test as base, type Repository } from './fixtures.ts';

/** The times of commits that JavaScript or Go cannot write with a year of four digits. */
const TIMES = [
  ['the year 10000', Date.UTC(10_000, 0, 1)],
  ['the year 275000', Date.UTC(275_000, 5, 1)],
] as const;

const test = base
  /** Pushes a module with v1.0.0, the later v1.1.0 of the given time, a branch of that time, and main after it. */
  .extend('pushFuture', ({ createRepository }) => async (time: number): Promise<Repository> => {
    const repository = await createRepository('far/lib');
    const { tree, module } = repository;
    await tree.write({ 'go.mod': `module ${module}\n` }).commit('First');
    await tree.tag('v1.0.0');
    await tree.write({ 'far.go': 'package lib\n' }).commit('Far', { date: new Date(time) });
    await tree.tag('v1.1.0', { annotated: true, date: new Date(time) });
    await tree.branch('future');
    await tree.write({ 'farther.go': 'package lib\n' }).commit('Farther', { date: new Date(time + 86_400_000) });
    await tree.branch('main');
    await tree.write({ 'last.go': 'package lib\n' }).commit('Last', { date: '2025-01-01T00:00:00Z' });
    await tree.push();
    return repository;
  })
  .extend('resolver', ({ client }) => new Resolver(client, new Ownership(HOST)));

describe.for(TIMES)('a tag on a commit in %s', ([, time]) => {
  test('has the checksum of direct mode, and the go command accepts it from the store', async ({
    gitlab,
    folder,
    pushFuture,
    publishing,
  }) => {
    const { project, module } = await pushFuture(time);
    await using direct = await downloadDirect(gitlab, HOST, `${module}@v1.1.0`);
    const expected = direct.modules[0];
    expect(expected?.Error).toBeUndefined();
    const result = await publishing.publisher.publish(pushedTag(project.id, 'v1.1.0', ''));
    expect(result).toMatchObject({
      outcome: { status: 'published', h1: expected?.Sum, goModH1: expected?.GoModSum },
    });
    const store = { ...directEnv(gitlab, HOST), GOPROXY: `file://${join(folder, 'store', 'modules')}`, GOVCS: '*:off' };
    await using stored = await downloadWith(store, `${module}@v1.1.0`, `${module}@latest`);
    expect(stored.modules.map(({ Version, Sum, Error: error }) => ({ Version, Sum, error }))).toEqual(
      [1, 2].map(() => ({ Version: 'v1.1.0', Sum: expected?.Sum, error: undefined })),
    );
  });

  test('costs no other version of its module, and resolves as in direct mode', async ({
    gitlab,
    folder,
    pushFuture,
    resolver,
  }) => {
    const { module } = await pushFuture(time);
    const env = { ...directEnv(gitlab, HOST), GOMODCACHE: join(folder, 'cache'), GOPATH: folder };
    const list = await promisify(execFile)('go', ['list', '-m', '-versions', module], { env, cwd: folder });
    const { versions } = await resolver.list(module);
    expect([module, ...versions].join(' ')).toBe(list.stdout.trim());
    await using direct = await downloadDirect(
      gitlab,
      HOST,
      ...['main', 'v1.0.0', 'v1.1.0', 'future'].map((query) => `${module}@${query}`),
    );
    const [main, first, far, future] = direct.modules;
    expect((await resolver.resolve(module, 'main')).version).toBe(main?.Version);
    expect((await resolver.resolve(module, 'latest')).version).toBe(main?.Version);
    expect((await resolver.resolve(module, 'v1.0.0')).version).toBe(first?.Version);
    expect((await resolver.resolve(module, 'v1.1.0')).version).toBe(far?.Version);
    expect(future?.Error).toBeDefined();
    await expect(resolver.resolve(module, 'future')).rejects.toMatchObject({
      name: 'Refuse',
      message: expect.stringContaining('dated after the year 9999'),
    });
    const made = `v1.1.1-0.20250101000000-${(await tipOf(resolver, module)).slice(0, 12)}` as const;
    expect((await resolver.resolve(module, made)).version).toBe(made);
  });
});

async function tipOf(resolver: Resolver, module: ModulePath): Promise<string> {
  return (await resolver.resolve(module, 'main')).commit;
}
