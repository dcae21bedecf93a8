import { readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TEMPORARY_ROOT } from '../../src/io/temporary-folder.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { goEnv, startGo, type Go } from '../proxy/go.ts';
import { addHook, checksumsDirect, library, openOffice, PREFIX, type Office } from './office.ts';
import { metric } from './metric.ts';
import { startService, type Service } from './service.ts';
import { watchVersion } from './version-watch.ts';

const MODULE = `${PREFIX}/platform/hello`;
const EXTERNAL = 'rsc.io/quote';

/** One process with all defaults, including public modules from the GOPROXY of this machine. */
describe('from git push to go build, with the defaults', () => {
  let office: Office;
  let service: Service;
  let tree: WorkTree;
  let go: Go;

  beforeAll(async () => {
    office = await openOffice();
    const [upstream, sumdb] = await Promise.all([goEnv('GOPROXY'), goEnv('GOSUMDB')]);
    service = await startService({ ...office.settings, UPSTREAM: upstream });
    // Otherwise the first sweep could find the tag before the webhook reports it.
    await service.logged('sweep.finished');
    tree = await WorkTree.create(await office.gitlab.createProject('platform/hello'));
    await addHook(office.gitlab, '/groups/platform', service.url, { token: 'the secret of the hook' });
    go = await startGo(service.url, { GOSUMDB: sumdb, GONOSUMDB: `${PREFIX}/*` });
  });
  afterAll(async () => {
    await go?.[Symbol.asyncDispose]();
    await service?.stop();
    await office?.[Symbol.asyncDispose]();
  });

  test('builds with a pushed tag, finds an upgrade, and gives the checksums of direct mode', async () => {
    await using first = watchVersion(service.url, MODULE, 'v1.0.0');
    await tree.write(library(MODULE, 'one')).commit('First');
    await tree.tag('v1.0.0');
    await tree.push('main', 'v1.0.0');
    await first.published;

    await writeFile(join(go.folder, 'main.go'), program());
    await succeed('get', `${MODULE}@v1.0.0`, `${EXTERNAL}@v1.5.2`);
    await succeed('build', '-o', join(office.folder, 'program'));
    expect(await succeed('run', '.')).toMatch(/^one\n.*Don't communicate by sharing memory/s);

    await using second = watchVersion(service.url, MODULE, 'v1.1.0');
    await tree.write(library(MODULE, 'two')).commit('Second');
    await tree.tag('v1.1.0', { annotated: true });
    await tree.push('main', 'v1.1.0');
    await second.published;
    await succeed('get', `${MODULE}@latest`);
    expect(await succeed('run', '.')).toMatch(/^two\n/);
    expect(await succeed('list', '-m', '-versions', MODULE)).toBe(`${MODULE} v1.0.0 v1.1.0\n`);

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
      service.url,
      'modpress_http_request_seconds_count',
      'route="sumdb/lookup"',
      'status="200"',
    );
    expect(lookups > 0).toBe((await goEnv('GOSUMDB')) !== 'off');
    await service.logged('tag.published', { version: 'v1.1.0' });
    expect(service.log.filter(({ msg }) => msg === 'version published')).toHaveLength(2);

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

  async function succeed(...args: string[]): Promise<string> {
    const { ok, stdout, stderr } = await go.run(...args);
    if (!ok) throw new Error(`go ${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  }
});

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
