import { describe, expect } from 'vitest';
import { get } from '../proxy/server.ts';
import { library, PREFIX } from './office.ts';
import { test } from './side-by-side-fixtures.ts';
import { expectSame, type SideBySide } from './side-by-side.ts';

const GROUP = `${PREFIX}/group`;

// The time limit of the first test does not cover the start.
test.beforeAll(({ both }) => void both);

/** Versions published on demand must not hide versions that nobody has requested yet. */
describe('the list is complete when only some versions are published', { timeout: 60_000 }, () => {
  test('and the others wait for the archive rate limit of GitLab', async ({ both }) => {
    await both.repository('group/many', async (tree, module) => {
      for (let minor = 0; minor < 7; minor += 1) {
        await tree.write(library(module, `word ${minor}`)).commit(`Version ${minor}`);
        await tree.tag(`v1.${minor}.0`);
      }
    });
    await fetched(both, 'many', 'v1.1.0');
    // go list -m -versions also requests the newest go.mod, which may have to wait for a minute.
    const { text } = await get(`${both.service.url}/${GROUP}/many/@v/list`);
    await using developers = await both.developers();
    const { stdout } = await developers.direct.go('list', '-m', '-versions', `${GROUP}/many`);
    expect(stdout).toBe(`${GROUP}/many v1.0.0 v1.1.0 v1.2.0 v1.3.0 v1.4.0 v1.5.0 v1.6.0\n`);
    expect(`${GROUP}/many ${text.trim().replaceAll('\n', ' ')}\n`).toBe(stdout);
  });

  test('and the others have no go.mod', async ({ both }) => {
    await both.repository('group/adopted', async (tree, module) => {
      await tree.write({ 'adopted.go': 'package adopted\n' }).commit('Before modules');
      await tree.tag('v1.0.0');
      await tree.write(library(module, 'adopted')).commit('Modules');
      await tree.tag('v1.1.0');
    });
    await fetched(both, 'adopted', 'v1.1.0');
    expect(await versionsOf(both, 'adopted')).toEqual(['v1.0.0 v1.1.0', 'v1.1.0']);
  });

  test('and no version has a go.mod', async ({ both }) => {
    await both.repository('group/legacy', async (tree) => {
      await tree.write({ 'legacy.go': 'package legacy\n' }).commit('First');
      await tree.tag('v1.0.0');
      await tree.write({ 'more.go': 'package legacy\n' }).commit('Second');
      await tree.tag('v2.0.0');
    });
    await fetched(both, 'legacy', 'v1.0.0');
    expect(await versionsOf(both, 'legacy')).toEqual(['v1.0.0 v2.0.0+incompatible', 'v2.0.0+incompatible']);
  });
});

/** Fetches a version, as a developer would. */
async function fetched(both: SideBySide, name: string, version: string): Promise<void> {
  const { status } = await get(`${both.service.url}/${GROUP}/${name}/@v/${version}.zip`);
  if (status !== 200) throw new Error(`the response for ${name}@${version} is ${status}`);
}

/** The versions of a module and the latest one. Expects the same on both sides. */
async function versionsOf(both: SideBySide, name: string): Promise<string[]> {
  const list = expectSame(await both.go(['list', '-m', '-versions', `${GROUP}/${name}`]));
  const latest = expectSame(await both.go(['list', '-m', `${GROUP}/${name}@latest`]));
  return [list, latest].map(({ stdout }) => stdout.replace(`${GROUP}/${name} `, '').trim());
}
