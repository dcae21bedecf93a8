import { afterAll, beforeAll, expect, test } from 'vitest';
import { directEnv, downloadDirect, downloadWith } from './direct-mode.ts';
import { startGitLab, type StandIn } from './stand-in.ts';
import { WorkTree } from './work-tree.ts';

const vanity = new Map([
  ['go.corp.example', 'platform/all'],
  ['go.corp.example/tools', 'platform/sub/toolbox'],
]);
let gitlab: StandIn;

beforeAll(async () => {
  gitlab = await startGitLab({ vanity });
  await publish('platform/all', 'go.corp.example');
  await publish('platform/sub/toolbox', 'go.corp.example/tools');
});
afterAll(() => gitlab.close());

test('direct mode finds a project under a path of another host, and the longest such path counts', async () => {
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

test('only whole elements of that path lead anywhere', async () => {
  await using download = await downloadDirect(gitlab, 'go.corp.examples', 'go.corp.examples/tools@v1.0.0');
  expect(download.modules[0]?.Error).toContain('go.corp.examples/tools');
  const asked = gitlab.requests.filter(({ path, query }) => path.startsWith('/tools') && query === '?go-get=1');
  expect(asked.length).toBeGreaterThan(0);
});

test('a request to the stand-in itself knows of no other host', async () => {
  const answer = await fetch(`${gitlab.url}/tools?go-get=1`);
  expect(answer.redirected).toBe(true);
  expect(await answer.text()).not.toContain('go-import');
});

async function publish(path: string, module: string): Promise<void> {
  await using tree = await WorkTree.create(await gitlab.createProject(path));
  await tree.write({ 'go.mod': `module ${module}\n\ngo 1.21\n` }).commit('First');
  await tree.tag('v1.0.0');
  await tree.push();
}
