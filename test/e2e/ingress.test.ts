import { expect } from 'vitest';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { get } from '../proxy/server.ts';
import { test as base } from './fixtures.ts';
import { library, PREFIX } from './office.ts';

const test = base.override('settings', { ON_DEMAND: 'on' });

const DEFAULT_BACKEND = { status: 404, body: 'default backend - 404', headers: { 'content-type': 'text/plain' } };

test.afterEach(({ office }) => office.gitlab.faults.clear());

test.for([
  ['everything', /^\/api\//],
  ['only the list of tags', /\/repository\/tags\?/],
  ['only the branches', /\/repository\/branches\//],
  ['only the files', /\/repository\/files\//],
] as const)(
  'while a server in front of GitLab answers %s with 404, a branch is not available instead of older',
  async ([name, path], { office, service }) => {
    const project = await office.gitlab.createProject(`platform/${name.replaceAll(' ', '-')}`);
    const module = `${PREFIX}/${project.path}`;
    await using tree = await WorkTree.create(project);
    await tree.write(library(module, 'one')).commit('One');
    await tree.tag('v1.3.0');
    await tree.write(library(module, 'two')).commit('Two');
    await tree.push();
    office.gitlab.faults.add({ path, times: Number.MAX_SAFE_INTEGER, kind: DEFAULT_BACKEND });
    const during = await get(`${service.url}/${module}/@v/main.info`);
    expect([during.status, during.text]).toEqual([503, expect.stringMatching(/^not available yet: /)]);
    office.gitlab.faults.clear();
    await expect
      .poll(async () => (await get(`${service.url}/${module}/@v/main.info`)).text, { timeout: 20_000 })
      .toMatch(/"Version":"v1\.3\.1-0\./);
  },
);
