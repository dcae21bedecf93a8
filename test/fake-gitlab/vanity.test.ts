import { expect } from 'vitest';
import { directEnv, downloadDirect, downloadWith } from './direct-mode.ts';
import { test } from './fixtures.ts';
import type { StandIn } from './stand-in.ts';
import { WorkTree } from './work-tree.ts';

const vanity = new Map([
  ['go.corp.example', 'platform/all'],
  ['go.corp.example/tools', 'platform/sub/toolbox'],
]);

test.override('gitlabOptions', { vanity });
test.beforeAll(async ({ gitlab }) => {
  await publish(gitlab, 'platform/all', 'go.corp.example');
  await publish(gitlab, 'platform/sub/toolbox', 'go.corp.example/tools');
});

test('direct mode finds a project under a path of another host, with the longest matching path', async ({ gitlab }) => {
  await using download = await downloadWith(
    directEnv(gitlab, ['go.corp.example', 'gitlab.example']),
    'go.corp.example@v1.0.0',
    'go.corp.example/tools@v1.0.0',
    'gitlab.example/platform/all@v1.0.0',
  );
  expect(download.modules.map(({ Error: reason, Origin: origin }) => reason ?? origin?.URL)).toEqual([
    `${gitlab.url}/platform/all.git`,
    `${gitlab.url}/platform/sub/toolbox.git`,
    'http://gitlab.example/platform/all.git',
  ]);
});

test('matches only whole elements of the path', async ({ gitlab }) => {
  await using download = await downloadDirect(gitlab, 'go.corp.examples', 'go.corp.examples/tools@v1.0.0');
  expect(download.modules[0]?.Error).toContain('go.corp.examples/tools');
  const requests = gitlab.requests.filter(({ path, query }) => path.startsWith('/tools') && query === '?go-get=1');
  expect(requests.length).toBeGreaterThan(0);
});

test('does not apply the paths of other hosts to requests to the stand-in itself', async ({ gitlab }) => {
  const answer = await fetch(`${gitlab.url}/tools?go-get=1`);
  expect(answer.redirected).toBe(true);
  expect(await answer.text()).not.toContain('go-import');
});

async function publish(gitlab: StandIn, path: string, module: string): Promise<void> {
  await using tree = await WorkTree.create(await gitlab.createProject(path));
  await tree.write({ 'go.mod': `module ${module}\n\ngo 1.21\n` }).commit('First');
  await tree.tag('v1.0.0');
  await tree.push();
}
