import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { get } from '../proxy/server.ts';
import { library, PREFIX } from './office.ts';
import { expectSame, SideBySide } from './side-by-side.ts';

const GROUP = `${PREFIX}/group`;
let both: SideBySide;

beforeAll(async () => {
  both = await SideBySide.open();
});
afterAll(async () => {
  await both?.[Symbol.asyncDispose]();
});

/** What somebody has asked for before must not hide what nobody has asked for yet. */
describe('a list is whole when some of its versions are published', { timeout: 60_000 }, () => {
  test('and the others wait, since GitLab rations archives', async () => {
    await both.repository('group/many', async (tree, module) => {
      for (let minor = 0; minor < 7; minor += 1) {
        await tree.write(library(module, `word ${minor}`)).commit(`Version ${minor}`);
        await tree.tag(`v1.${minor}.0`);
      }
    });
    await fetched('many', 'v1.1.0');
    // What go list -m -versions asks for besides, the newest go.mod, may have to wait for a minute.
    const { text } = await get(`${both.service.url}/${GROUP}/many/@v/list`);
    await using developers = await both.developers();
    const { stdout } = await developers.direct.go('list', '-m', '-versions', `${GROUP}/many`);
    expect(stdout).toBe(`${GROUP}/many v1.0.0 v1.1.0 v1.2.0 v1.3.0 v1.4.0 v1.5.0 v1.6.0\n`);
    expect(`${GROUP}/many ${text.trim().replaceAll('\n', ' ')}\n`).toBe(stdout);
  });

  test('and the others have no go.mod', async () => {
    await both.repository('group/adopted', async (tree, module) => {
      await tree.write({ 'adopted.go': 'package adopted\n' }).commit('Before modules');
      await tree.tag('v1.0.0');
      await tree.write(library(module, 'adopted')).commit('Modules');
      await tree.tag('v1.1.0');
    });
    await fetched('adopted', 'v1.1.0');
    expect(await versionsOf('adopted')).toEqual(['v1.0.0 v1.1.0', 'v1.1.0']);
  });

  test('and none has a go.mod', async () => {
    await both.repository('group/legacy', async (tree) => {
      await tree.write({ 'legacy.go': 'package legacy\n' }).commit('First');
      await tree.tag('v1.0.0');
      await tree.write({ 'more.go': 'package legacy\n' }).commit('Second');
      await tree.tag('v2.0.0');
    });
    await fetched('legacy', 'v1.0.0');
    expect(await versionsOf('legacy')).toEqual(['v1.0.0 v2.0.0+incompatible', 'v2.0.0+incompatible']);
  });
});

/** Somebody fetches a version. */
async function fetched(name: string, version: string): Promise<void> {
  const { status } = await get(`${both.service.url}/${GROUP}/${name}/@v/${version}.zip`);
  if (status !== 200) throw new Error(`${name}@${version} is answered with ${status}`);
}

/** The versions that a module has and the latest one, the same on both sides. */
async function versionsOf(name: string): Promise<string[]> {
  const list = expectSame(await both.go(['list', '-m', '-versions', `${GROUP}/${name}`]));
  const latest = expectSame(await both.go(['list', '-m', `${GROUP}/${name}@latest`]));
  return [list, latest].map(({ stdout }) => stdout.replace(`${GROUP}/${name} `, '').trim());
}
