import { describe, expect } from 'vitest';
import { all, call } from './api-client.ts';
import { test as base } from './fixtures.ts';
import { WorkTree } from './work-tree.ts';

interface Tag {
  name: string;
  message: string;
  target: string;
  created_at: string | null;
  commit: { id: string; committed_date: string; parent_ids: string[] };
}

interface Entry {
  id: string;
  name: string;
  type: string;
  path: string;
  mode: string;
}

const path = `/projects/${encodeURIComponent('group/sub/lib')}/repository`;

const test = base
  /** A project with two commits, more than a thousand files, 250 lightweight tags and an annotated one. */
  .extend('work', { scope: 'file' }, async ({ gitlab }) => {
    const work = await WorkTree.create(await gitlab.createProject('group/sub/lib'));
    const submodule = await work
      .write({ 'go.mod': 'module m\n' })
      .commit('first', { date: '2024-05-06T07:08:09Z', committerZone: '+0530' });
    const many = Object.fromEntries(
      Array.from({ length: 1000 }, (_, index) => [`pkg/p${index % 10}/f${index}.go`, `package p // ${index}\n`]),
    );
    await work
      .write({
        ...many,
        'link.txt': { symlink: 'go.mod' },
        'run.sh': { executable: '#!/bin/sh\n' },
        'dir with space/ü.go': 'package u\n',
        vendored: { submodule },
      })
      .commit('second');
    await work.tag(Array.from({ length: 250 }, (_, index) => `v1.${index}.0`));
    await work.tag('sub/v2.0.0-rc.1', { annotated: true, message: 'Two\n\nlines', at: submodule });
    await work.push();
    return work;
  })
  /** The id of its second commit. */
  .extend('head', { scope: 'file' }, ({ work }) => work.head());

// The tests read the repository, and not all of them use its work tree.
test.beforeAll(({ work }) => void work);

describe('reading a repository', () => {
  test('keyset pages return every tag once, in every sort order', async ({ gitlab }) => {
    const expected = [...Array.from({ length: 250 }, (_, index) => `v1.${index}.0`), 'sub/v2.0.0-rc.1'];
    for (const order of ['name', 'updated', 'version']) {
      const { items, pages } = await all(
        gitlab,
        `${path}/tags?pagination=keyset&per_page=100&order_by=${order}&sort=asc`,
      );
      const names = (items as Tag[]).map(({ name }) => name);
      expect(pages).toBe(3);
      expect(names.toSorted()).toEqual(expected.toSorted());
      if (order === 'version') {
        expect(names.filter((name) => name.startsWith('v1'))).toEqual(expected.slice(0, 250));
      }
    }
  });

  test('keyset pages have a next link and no totals; a full last page links to an empty page', async ({ gitlab }) => {
    const first = await call(gitlab, `${path}/tags?pagination=keyset&per_page=50&search=^v1&order_by=name`);
    expect(first.headers.has('x-total')).toBe(false);
    expect(first.headers.get('link')).toBe(`<${first.next}>; rel="next"`);
    expect(first.next).toContain(`${gitlab.url}/api/v4${path}/tags?`);
    const { items, pages } = await all(gitlab, `${path}/tags?pagination=keyset&per_page=50&search=^v1`);
    expect([items.length, pages]).toEqual([250, 6]);
    expect(await call(gitlab, `${path}/tags?pagination=keyset&page_token=gone`)).toMatchObject({ status: 422 });
  });

  test('offset pages have totals and links, and at most 100 items', async ({ gitlab }) => {
    const second = await call(gitlab, `${path}/tags?per_page=500&page=2&order_by=name&sort=desc`);
    expect(second.json).toHaveLength(100);
    expect(Object.fromEntries(second.headers)).toMatchObject({
      'x-total': '251',
      'x-total-pages': '3',
      'x-page': '2',
      'x-per-page': '100',
      'x-next-page': '3',
      'x-prev-page': '1',
      link: expect.stringMatching(/rel="prev".*rel="next".*rel="first".*rel="last"/),
    });
    const { items, pages } = await all(gitlab, `${path}/tags?per_page=100`);
    expect([new Set((items as Tag[]).map(({ name }) => name)).size, pages]).toEqual([251, 3]);
  });

  test('a tag has its commit, with the time in the time zone of the committer', async ({ gitlab, head }) => {
    const first = await call(gitlab, `${path}/tags/${encodeURIComponent('sub/v2.0.0-rc.1')}`);
    const tag = first.json as Tag;
    expect(tag).toMatchObject({
      name: 'sub/v2.0.0-rc.1',
      message: 'Two\n\nlines',
      created_at: expect.stringMatching(/\.000\+00:00$/),
    });
    expect(tag.target).not.toBe(tag.commit.id);
    expect(tag.commit.committed_date).toBe('2024-05-06T12:38:09.000+05:30');
    const light = (await call(gitlab, `${path}/tags/v1.7.0`)).json as Tag;
    expect(light).toMatchObject({
      target: head,
      message: '',
      created_at: null,
      commit: { id: head, parent_ids: [tag.commit.id] },
    });
    expect(await call(gitlab, `${path}/tags/v9.9.9`)).toMatchObject({
      status: 404,
      json: { message: '404 Tag Not Found' },
    });
  });

  test('keyset and offset pages return the complete recursive tree', async ({ gitlab, work, head }) => {
    const listed = (await work.git('ls-tree', '-r', '-t', '-z', head)).split('\0').slice(0, -1);
    const expected = listed.map((line) => /^(\d+) (\w+) (\w+)\t(.*)$/s.exec(line)?.slice(1).join(' ') ?? line);
    for (const style of ['keyset', 'legacy']) {
      const { items, pages } = await all(
        gitlab,
        `${path}/tree?recursive=true&per_page=100&ref=v1.0.0&pagination=${style}`,
      );
      const entries = items as Entry[];
      expect(entries.map(({ mode, type, id, path: at }) => `${mode} ${type} ${id} ${at}`).toSorted()).toEqual(
        expected.toSorted(),
      );
      expect(pages).toBe(11);
      expect(entries.map(({ type }) => type).join(' ')).toMatch(/^(tree )+(blob )+commit$/);
    }
    const below = await call(gitlab, `${path}/tree?path=pkg/p3&per_page=3`);
    expect(below.json).toEqual([
      expect.objectContaining({ name: 'f103.go', path: 'pkg/p3/f103.go' }),
      expect.objectContaining({ name: 'f113.go' }),
      expect.objectContaining({ name: 'f123.go' }),
    ]);
    expect(await call(gitlab, `${path}/tree?ref=nowhere`)).toMatchObject({
      status: 404,
      json: { message: '404 Tree Not Found' },
    });
    expect((await call(gitlab, `${path}/tree?path=nowhere`)).status).toBe(404);
  });

  test('returns files and blobs as they are stored', async ({ gitlab, work, head }) => {
    const raw = await call(gitlab, `${path}/files/${encodeURIComponent('dir with space/ü.go')}/raw?ref=${head}`);
    expect([raw.status, raw.bytes.toString(), raw.headers.get('content-type')]).toEqual([
      200,
      'package u\n',
      'text/plain',
    ]);
    expect((await call(gitlab, `${path}/files/link.txt/raw?ref=main`)).bytes.toString()).toBe('go.mod');
    const file = await call(gitlab, `${path}/files/go.mod?ref=main`);
    const id = (await work.git('rev-parse', 'main:go.mod')).trim();
    const first = (await work.git('rev-parse', 'main^')).trim();
    expect(file.json).toMatchObject({
      blob_id: id,
      commit_id: head,
      last_commit_id: first,
      size: 9,
      content: Buffer.from('module m\n').toString('base64'),
    });
    expect(file.headers.get('x-gitlab-blob-id')).toBe(id);
    expect((await call(gitlab, `${path}/blobs/${id}/raw`)).bytes.toString()).toBe('module m\n');
    expect((await call(gitlab, `${path}/files/run.sh?ref=main`)).json).toMatchObject({ execute_filemode: true });
    for (const [at, message] of [
      ['files/nowhere/raw?ref=main', '404 File Not Found'],
      ['files/pkg/raw?ref=main', '404 File Not Found'],
      ['files/go.mod/raw?ref=nowhere', '404 Commit Not Found'],
      [`blobs/${'1'.repeat(40)}/raw`, '404 Blob Not Found'],
    ] as const) {
      expect(await call(gitlab, `${path}/${at}`)).toMatchObject({ status: 404, json: { message } });
    }
  });

  test('finds commits by branch, tag and abbreviated id, with the refs that contain them', async ({
    gitlab,
    work,
    head,
  }) => {
    const first = (await work.git('rev-parse', 'main^')).trim();
    for (const name of ['main', 'v1.3.0', head.slice(0, 9), 'HEAD', 'refs/heads/main']) {
      expect((await call(gitlab, `${path}/commits/${encodeURIComponent(name)}`)).json).toMatchObject({ id: head });
    }
    expect(await call(gitlab, `${path}/commits/nowhere`)).toMatchObject({
      status: 404,
      json: { message: '404 Commit Not Found' },
    });
    expect((await call(gitlab, `${path}/commits?ref_name=v1.0.0`)).json).toEqual([
      expect.objectContaining({ id: head }),
      expect.objectContaining({ id: first }),
    ]);
    const { items } = await all(gitlab, `${path}/commits/${first}/refs?type=tag&per_page=100`);
    expect(items).toHaveLength(251);
    expect((await call(gitlab, `${path}/commits/${head}/refs?type=branch`)).json).toEqual([
      { type: 'branch', name: 'main' },
    ]);
    expect((await call(gitlab, `${path}/branches/main`)).json).toMatchObject({
      name: 'main',
      default: true,
      commit: { id: head },
    });
  });

  test('shows a push at once, and direct writes to the repository after a reload', async ({ gitlab }) => {
    const other = await gitlab.createProject('group/fresh');
    const tree = await WorkTree.create(other, 'trunk');
    const tags = `/projects/${other.id}/repository/tags`;
    expect((await call(gitlab, tags)).json).toEqual([]);
    await tree.write({ 'go.mod': 'module x\n' }).commit('x');
    await tree.tag('v0.1.0');
    await tree.push();
    expect((await call(gitlab, tags)).json).toHaveLength(1);
    expect((await call(gitlab, `/projects/${other.id}`)).json).toMatchObject({
      default_branch: 'trunk',
      empty_repo: false,
    });
    await tree.git('push', '--quiet', other.repositoryDir, 'v0.1.0:refs/tags/v0.2.0');
    await other.reload();
    expect((await call(gitlab, tags)).json).toHaveLength(2);
  });
});
