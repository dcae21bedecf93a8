import { stat } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { NameLimits } from '../../src/module/name-limits.ts';
import { MAX_ZIP } from '../../src/module/zip/writer.ts';
import { pushedTag } from '../../src/queue/tag-job.ts';
import type { PublishResult } from '../../src/publish/publisher.ts';
import { downloadDirect, type DownloadedModule } from '../fake-gitlab/direct-mode.ts';
import { WorkTree, type FileContent } from '../fake-gitlab/work-tree.ts';
import { HOST, test as base } from './fixtures.ts';

/** The part of each name in the module zip before the path. All projects of this file have paths of the same length. */
const PREFIX_BYTES = `${HOST}/group/longNN@v1.0.0/`.length;
/** The maximum length of a name in a zip, in bytes. */
const MAX_NAME = 65_535;

/** A path of a few elements. `git fast-import` cannot create an element of more than 65,535 bytes. */
const fileOf = (bytes: number): string =>
  bytes > 40_000 ? `${'x'.repeat(39_999)}/${fileOf(bytes - 40_000)}` : 'x'.repeat(bytes);
/** A path whose elements have 200 bytes, so that there are many directories. */
const deep = (bytes: number): string => `${'x'.repeat(199)}/`.repeat(Math.floor(bytes / 200)) + 'a.go';

let projects = 9;

const test = base
  /** Pushes a module with these files, and returns the results of direct mode and of modpress for its tag. */
  .extend(
    'publishBoth',
    ({ gitlab, publishing }) =>
      async (
        files: Readonly<Record<string, FileContent>>,
      ): Promise<{ direct: DownloadedModule | undefined; directZip: number; ours: PublishResult }> => {
        const project = await gitlab.createProject(`group/long${++projects}`);
        await using tree = await WorkTree.create(project);
        const module = `${HOST}/${project.path}`;
        await tree.write({ 'go.mod': `module ${module}\n\ngo 1.24\n`, ...files }).commit('First');
        await tree.tag('v1.0.0');
        await tree.push();
        await using download = await downloadDirect(gitlab, HOST, `${module}@v1.0.0`);
        const direct = download.modules[0];
        const directZip = direct?.Zip === undefined ? 0 : (await stat(direct.Zip)).size;
        return { direct, directZip, ours: await publishing.publisher.publish(pushedTag(project.id, 'v1.0.0', '')) };
      },
  );

describe('a path', () => {
  test.for([3_000, 12_000, 62_000, MAX_NAME - PREFIX_BYTES])(
    'of %i bytes has the checksum of direct mode',
    async (bytes, { publishBoth }) => {
      const { direct, ours } = await publishBoth({ [fileOf(bytes)]: '' });
      expect(direct?.Sum).toMatch(/^h1:/);
      expect(ours).toMatchObject({ outcome: { status: 'published', h1: direct?.Sum, goModH1: direct?.GoModSum } });
    },
  );

  test.for([
    ['one byte too long for the module zip', { [fileOf(MAX_NAME - PREFIX_BYTES + 1)]: '' }, 'Name too long'],
    ['of 66,000 bytes', { [fileOf(66_000)]: '' }, 'path too long'],
    ['of 250,000 bytes', { [fileOf(250_000)]: '' }, 'path too long'],
    ['of 66,000 bytes in a nested module', { 'n/go.mod': 'module n\n', [`n/${fileOf(66_000)}`]: '' }, 'path too long'],
    ['of 66,000 bytes of a symlink', { [fileOf(66_000)]: { symlink: 'go.mod' } }, 'path too long'],
  ] as const)('%s is refused as in direct mode', async ([, files, reason], { publishBoth }) => {
    const { direct, ours } = await publishBoth(files);
    expect(direct?.Error).toContain(reason);
    expect(ours).toMatchObject({
      outcome: { status: 'refused', reason: expect.stringContaining('a path is too long for a zip') },
    });
  });

  test.for([20_000, 62_000])(
    'of %i bytes in so many directories that GitLab cannot list them is refused, and the go command cannot use it either',
    async (bytes, { gitlab, publishBoth }) => {
      gitlab.clearRequests();
      const { direct, ours } = await publishBoth({ [deep(bytes)]: '' });
      expect(direct?.Error).toMatch(/file name too long|path too long/);
      expect(ours).toMatchObject({ outcome: { status: 'refused', reason: expect.stringContaining('too long') } });
      // A call that can never succeed is not repeated.
      expect(gitlab.requests.filter(({ path }) => path.endsWith('/repository/tree'))).toHaveLength(1);
    },
  );
});

describe('the least size of a zip', () => {
  test('is not above the size of the zips that git and Go write', async ({ publishBoth, createRepository }) => {
    const names = Array.from({ length: 400 }, (_, index) => `d${index % 20}/${'x'.repeat(index % 50)}${index}`);
    const files = Object.fromEntries(names.map((name) => [name, '']));
    const { tree } = await createRepository();
    const head = await tree.write({ ...files, link: { symlink: '' } }).commit('First');
    const directory = (await tree.git('rev-parse', '--absolute-git-dir')).trim();
    const archive = await tree.git('archive', '--format=zip', '--prefix=prefix/', `--output=${directory}/a.zip`, head);
    expect(archive).toBe('');
    const ofTree = new NameLimits({ kind: 'tree' });
    const entries = (await tree.git('ls-tree', '-r', '-t', '-z', '--format=%(objecttype) %(path)', head)).split('\0');
    for (const entry of entries.slice(0, -1)) ofTree.add(entry.replace(/^blob /, '').replace(/^tree (.*)/, '$1/'));
    // A zip of git also has an entry for its prefix, and ends in a record with the id of the commit.
    const more = 94 + 2 * 'prefix/'.length + 22 + head.length;
    expect(ofTree.zipBytes + more).toBe((await stat(`${directory}/a.zip`)).size);

    const { direct, directZip } = await publishBoth(files);
    const ofModule = new NameLimits({ kind: 'module', prefix: `${direct?.Path}@v1.0.0/` });
    for (const name of ['go.mod', ...names]) ofModule.add(name);
    expect(ofModule.zipBytes).toBeLessThan(directZip);
    expect(ofModule.zipBytes).toBeGreaterThan(directZip * 0.95);
  });

  test('may be 500 MiB', () => {
    const limits = new NameLimits({ kind: 'module', prefix: '' });
    const name = 'x'.repeat(50_000);
    for (let bytes = 94 + 2 * name.length; bytes <= MAX_ZIP; bytes += 94 + 2 * name.length) limits.add(name);
    expect(() => limits.add(name)).toThrow('the module has too many files');
  });
});

describe('a tag whose name is too long for GitLab', () => {
  const longTag = `${'é'.repeat(2_500)}/v1.0.0`;

  test('is dismissed if it was pushed, and refused once it is listed with its commit', async ({
    gitlab,
    createRepository,
    publishing,
  }) => {
    const { project, tree } = await createRepository();
    const commit = await tree.write({ 'go.mod': 'module x\n' }).commit('First');
    await tree.push();
    gitlab.clearRequests();
    const pushed = pushedTag(project.id, longTag, commit);
    expect(await publishing.publisher.publish(pushed)).toMatchObject({
      dismissed: expect.stringContaining('the name of the tag is too long for GitLab'),
    });
    for (const readAt of [new Date(), new Date(Date.now() - 86_400_000)]) {
      const cachedTag = { commit, committedAt: '2024-01-01T00:00:00Z', readAt: readAt.toISOString() };
      expect(await publishing.publisher.publish({ ...pushed, cachedTag })).toMatchObject({
        outcome: { status: 'refused', commit, reason: expect.stringContaining('is too long for GitLab') },
      });
    }
    expect(gitlab.requests.filter(({ path }) => /\/repository\/(?:tags|files)/.test(path))).toEqual([]);
  });

  test('is refused after the error of a server in front of GitLab', async ({
    gitlab,
    createRepository,
    publishing,
  }) => {
    const { project } = await createRepository();
    for (const status of [400, 413, 414, 431]) {
      const fault = gitlab.faults.add({ path: /\/repository\/tags\//, kind: { status, body: 'too long' } });
      const name = `${'é'.repeat(400)}/v1.0.0`;
      expect(await publishing.publisher.publish(pushedTag(project.id, name, ''))).toHaveProperty('dismissed');
      fault.remove();
      // For a short name, the same status is a failure of the server.
      gitlab.faults.add({ path: /\/repository\/tags\//, kind: { status, body: 'too long' } });
      await expect(publishing.publisher.publish(pushedTag(project.id, 'v1.0.0', ''))).rejects.toMatchObject({
        name: 'Retry',
      });
    }
  });
});
