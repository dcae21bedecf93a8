import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { expect } from 'vitest';
import { withCore } from '../../src/app/with-core.ts';
import { NO_FORWARD_PROXIES } from '../../src/http-client/forward-proxy.ts';
import { historyKey } from '../../src/store/layout.ts';
import { addCommits } from '../resolve/graph.ts';
import { chain, moduleOf, test as base, unrelatedTags, withBranch } from '../resolve/history-fixtures.ts';

const test = base.extend('settings', ({ gitlab, folder }) => {
  return {
    store: { kind: 'disk', folder: join(folder, 'store') } as const,
    forwardProxies: NO_FORWARD_PROXIES,
    trust: () => createSecureContext(),
    redisLocation: undefined,
    gitlabUrl: gitlab.url,
    gitlabToken: gitlab.rootToken,
    gitlabRate: 1_000,
    gitlabScope: [],
    modulePrefix: 'gitlab.example',
    moduleMap: [],
    retag: 'refuse',
  } as const;
});

test('the resolver keeps what it knows of histories in the store, unless it must not change the store', async ({
  gitlab,
  project,
  settings,
}) => {
  const tags = unrelatedTags(20, (index) => `v1.${index}.0`);
  await addCommits(project, [...withBranch(chain(project, 'main', 5), 'main'), ...tags]);
  const resolve = async (isReadOnly: boolean): Promise<Buffer | undefined> => {
    gitlab.clearRequests();
    return await withCore(settings, async (core) => {
      await core.resolver({ isReadOnly }).resolve(moduleOf(project), 'main');
      return (await core.store()).get(historyKey(project.id));
    });
  };
  const pages = (): number => gitlab.requests.filter(({ path }) => path.endsWith('/repository/commits')).length;
  expect(await resolve(true)).toBeUndefined();
  expect(pages()).toBe(1);
  const kept = await resolve(false);
  expect(JSON.parse(String(kept))).toMatchObject({ histories: [{ verdicts: 'o'.repeat(20) }] });
  // Another process reads no page again.
  expect(await resolve(false)).toEqual(kept);
  expect(pages()).toBe(0);
});
