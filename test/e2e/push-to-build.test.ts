import { readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { TEMPORARY_ROOT } from '../../src/io/temporary-folder.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { goEnv, startGo, type Go } from '../proxy/go.ts';
import { test as base } from './fixtures.ts';
import { metric } from './metric.ts';
import { addHook, checksumsDirect, library, PREFIX } from './office.ts';
import { watchVersion } from './version-watch.ts';

const MODULE = `${PREFIX}/platform/hello`;
const EXTERNAL = 'rsc.io/quote';

/** One process with all defaults, including public modules from the GOPROXY of this machine. */
const test = base
  .extend('modpress', { scope: 'file' }, async ({ startProcess }) => {
    const modpress = await startProcess({ UPSTREAM: await goEnv('GOPROXY') });
    // Otherwise the first sweep could find the tag before the webhook reports it.
    await modpress.logged('sweep.finished');
    return modpress;
  })
  /** The library, whose tags the webhook reports. */
  .extend('tree', { scope: 'file' }, async ({ office, modpress }, { onCleanup }) => {
    const tree = await WorkTree.create(await office.gitlab.createProject('platform/hello'));
    onCleanup(() => tree.remove());
    await addHook(office.gitlab, '/groups/platform', modpress.url, { token: '/the secret of the hook/' });
    return tree;
  })
  .extend('go', { scope: 'file' }, async ({ modpress }, { onCleanup }) => {
    const go = await startGo(modpress.url, { GOSUMDB: await goEnv('GOSUMDB'), GONOSUMDB: `${PREFIX}/*` });
    onCleanup(() => go[Symbol.asyncDispose]());
    return go;
  });

// The time limit of the test does not cover the start.
test.beforeAll(({ tree, go }) => void [tree, go]);

test('with the defaults, the go command builds with a pushed tag, finds an upgrade, and computes the checksums of direct mode', async ({
  office,
  modpress,
  tree,
  go,
}) => {
  await using first = watchVersion(modpress.url, MODULE, 'v1.0.0');
  await tree.write(library(MODULE, 'one')).commit('First');
  await tree.tag('v1.0.0');
  await tree.push('main', 'v1.0.0');
  await first.published;

  await writeFile(join(go.folder, 'main.go'), program());
  await succeed(go, 'get', `${MODULE}@v1.0.0`, `${EXTERNAL}@v1.5.2`);
  await succeed(go, 'build', '-o', join(office.folder, 'program'));
  expect(await succeed(go, 'run', '.')).toMatch(/^one\n.*Don't communicate by sharing memory/s);

  await using second = watchVersion(modpress.url, MODULE, 'v1.1.0');
  await tree.write(library(MODULE, 'two')).commit('Second');
  await tree.tag('v1.1.0', { annotated: true });
  await tree.push('main', 'v1.1.0');
  await second.published;
  await succeed(go, 'get', `${MODULE}@latest`);
  expect(await succeed(go, 'run', '.')).toMatch(/^two\n/);
  expect(await succeed(go, 'list', '-m', '-versions', MODULE)).toBe(`${MODULE} v1.0.0 v1.1.0\n`);

  const direct = await checksumsDirect(office.gitlab, `${MODULE}@v1.0.0`, `${MODULE}@v1.1.0`);
  const expected = ['v1.0.0', 'v1.1.0'].flatMap((version) => {
    const sums = direct[`${MODULE}@${version}`];
    return [`${MODULE} ${version} ${sums?.sum}`, `${MODULE} ${version}/go.mod ${sums?.goModSum}`];
  });
  const sums = (await readFile(join(go.folder, 'go.sum'), 'utf8')).split('\n');
  expect(sums.filter((line) => line.startsWith(PREFIX))).toEqual(expected);
  expect(sums).toContainEqual(expect.stringMatching(/^rsc\.io\/quote v1\.5\.2 h1:/));

  // GONOSUMDB excludes only private modules from the checksum database.
  const lookups = await metric(
    modpress.url,
    'modpress_http_request_seconds_count',
    'route="sumdb/lookup"',
    'status="200"',
  );
  expect(lookups > 0).toBe((await goEnv('GOSUMDB')) !== 'off');
  await modpress.logged('tag.published', { version: 'v1.1.0' });
  expect(modpress.log.filter(({ event }) => event === 'tag.published')).toHaveLength(2);

  // The folder that modpress has written works as a GOPROXY without modpress.
  const files = join(office.folder, 'data', 'modules');
  await using offline = await startGo(`file://${files}`);
  expect(await offline.run('mod', 'download', `${MODULE}@v1.1.0`)).toMatchObject({ ok: true });
  expect(await offline.run('list', '-m', '-versions', MODULE)).toMatchObject({ stdout: `${MODULE} v1.0.0 v1.1.0\n` });
  expect(await readFile(join(offline.folder, '../cache/cache/download', MODULE, '@v/v1.1.0.ziphash'), 'utf8')).toBe(
    direct[`${MODULE}@v1.1.0`]?.sum,
  );
  expect(await readdir(join(office.temporaryRoot, basename(TEMPORARY_ROOT)))).toEqual([]);
}, 90_000);

async function succeed(go: Go, ...args: string[]): Promise<string> {
  const { ok, stdout, stderr } = await go.run(...args);
  if (!ok) throw new Error(`go ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

function program(): string {
  return `package main

import (
	"fmt"

	"${MODULE}"
	"${EXTERNAL}"
)

func main() {
	fmt.Println(hello.Word())
	fmt.Println(quote.Go())
}
`;
}
