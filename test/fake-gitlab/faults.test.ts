import { gunzipSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import { call } from './api-client.ts';
import { test as base } from './fixtures.ts';
import { WorkTree } from './work-tree.ts';

const content = Buffer.alloc(20_000, 'modpress ');

const test = base
  .override('gitlabOptions', { archiveLimit: 'off' })
  .extend('project', { scope: 'file' }, async ({ gitlab }) => {
    const project = await gitlab.createProject('group/lib');
    const work = await WorkTree.create(project);
    await work.write({ 'go.mod': 'module m\n', big: content }).commit('first');
    await work.push();
    return project;
  })
  .extend('file', ({ project }) => `/projects/${project.id}/repository/files/big/raw?ref=main`);

describe('faults', () => {
  test.afterEach(({ gitlab }) => gitlab.faults.clear());

  test('returns the status the given number of times, for matching requests only', async ({
    gitlab,
    project,
    file,
  }) => {
    const fault = gitlab.faults.add({
      path: /repository\/files/,
      times: 2,
      kind: { status: 503, body: { message: 'down' }, headers: { 'Retry-After': '7' } },
    });
    expect((await call(gitlab, `/projects/${project.id}`)).status).toBe(200);
    const refused = await call(gitlab, file);
    expect(refused).toMatchObject({ status: 503, json: { message: 'down' } });
    expect(refused.headers.get('retry-after')).toBe('7');
    expect((await call(gitlab, file)).status).toBe(503);
    expect((await call(gitlab, file)).status).toBe(200);
    expect(fault.hits).toBe(2);
  });

  test('applies a fault to one method, without a limit, and removes it', async ({ gitlab, project }) => {
    const fault = gitlab.faults.add({
      path: /hooks/,
      method: 'POST',
      times: Number.POSITIVE_INFINITY,
      kind: { status: 502 },
    });
    const hooks = `/projects/${project.id}/hooks`;
    expect((await call(gitlab, hooks)).status).toBe(200);
    for (let attempt = 0; attempt < 3; attempt += 1)
      expect((await call(gitlab, hooks, { method: 'POST', body: {} })).status).toBe(502);
    fault.remove();
    expect((await call(gitlab, hooks, { method: 'POST', body: {} })).status).toBe(400);
  });

  test('returns a 200 with a cut gzip for a truncated archive', async ({ gitlab, project, file }) => {
    const address = `/projects/${project.id}/repository/archive.tar.gz`;
    const whole = await call(gitlab, address);
    gitlab.faults.add({ path: /archive/, kind: 'truncate' });
    const cut = await call(gitlab, address);
    expect([cut.status, cut.bytes.length]).toEqual([200, Math.floor(whole.bytes.length / 2)]);
    expect(() => gunzipSync(cut.bytes)).toThrow('unexpected end of file');
    gitlab.faults.add({ path: /files/, kind: 'truncate' });
    expect((await call(gitlab, file)).bytes.length).toBe(content.length / 2);
  });

  test('breaks a dropped connection in the middle of the body', async ({ gitlab, file }) => {
    gitlab.faults.add({ path: /files/, kind: 'drop' });
    const response = await fetch(`${gitlab.url}/api/v4${file}`, { headers: { 'PRIVATE-TOKEN': gitlab.rootToken } });
    expect(response.status).toBe(200);
    await expect(response.arrayBuffer()).rejects.toThrow('terminated');
  });

  test('delays and slows down a response without changing it', async ({ gitlab, file }) => {
    gitlab.faults.add({ path: /files/, kind: { delayMs: 120 } });
    gitlab.faults.add({ path: /files/, kind: { trickleBytesPerSecond: 100_000 } });
    const start = performance.now();
    const answer = await call(gitlab, file);
    expect(performance.now() - start).toBeGreaterThan(270);
    expect(answer.bytes.equals(content)).toBe(true);
  });

  test('applies faults to git requests too', async ({ gitlab, project }) => {
    const work = await WorkTree.create(project);
    gitlab.faults.add({ path: /git-upload-pack/, kind: { status: 500 } });
    await expect(work.git('fetch', '--quiet', project.gitUrl, 'main')).rejects.toThrow('500');
    await expect(work.git('fetch', '--quiet', project.gitUrl, 'main')).resolves.toBeDefined();
  });
});
