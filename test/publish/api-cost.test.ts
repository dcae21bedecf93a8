import { describe, expect } from 'vitest';
import type { Project, StandIn } from '../fake-gitlab/stand-in.ts';
import type { FileContent } from '../fake-gitlab/work-tree.ts';
import { test as base } from './fixtures.ts';

const GO_MOD = 'module gitlab.example/x\n\ngo 1.24\n';

/** The requests to GitLab for publishing one tag: the number of each kind, and the names of the requested files. */
interface Cost {
  readonly project: number;
  readonly tag: number;
  readonly tree: number;
  readonly archive: number;
  readonly blob: number;
  readonly files: readonly string[];
}

/** The requests for a module at the root of a repository, with less than a hundred entries in its tree. */
const PLAIN: Cost = { project: 1, tag: 1, tree: 1, archive: 1, blob: 0, files: ['go.mod'] };

const test = base
  /** Pushes a repository with these files and one tag, and publishes the tag. */
  .extend(
    'costOf',
    ({ gitlab, createRepository, publishing }) =>
      async (files: Readonly<Record<string, FileContent>>, tag = 'v1.0.0'): Promise<Cost> => {
        const { project, tree } = await createRepository();
        await tree.write(files).commit('Only');
        await tree.tag(tag);
        await tree.push();
        gitlab.clearRequests();
        const result = await publishing.publisher.publish({ projectId: project.id, tag });
        if (!('outcome' in result) || result.outcome.status !== 'published') throw new Error(JSON.stringify(result));
        return countRequests(gitlab, project);
      },
  );

describe('publishing a tag', () => {
  test.for<[number, number]>([
    [1, 1],
    [99, 1],
    [100, 2],
    [101, 2],
    [199, 2],
    [200, 3],
    [250, 3],
  ])(
    'with %i files requests the tag, the project, go.mod, the archive, and %i pages of the tree',
    async ([count, pages], { costOf }) => {
      // A full page does not show that it is the last one.
      expect(pages).toBe(Math.floor(count / 100) + 1);
      const files = Object.fromEntries(
        Array.from({ length: count - 1 }, (_, index) => [`f${index}.go`, `package x // ${index}\n`]),
      );
      expect(await costOf({ 'go.mod': GO_MOD, ...files })).toEqual({ ...PLAIN, tree: pages });
    },
  );

  test('counts directories and submodules as entries in the pages of the tree', async ({ costOf }) => {
    const files = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`d${index}/f.go`, 'package x\n']));
    expect(
      await costOf({ 'go.mod': GO_MOD, ...files, third: { submodule: '82b3d5ae55f7080f1e6022629cdb57bfae7cccc7' } }),
    ).toEqual({ ...PLAIN, tree: 2 });
  });

  test('requests the blob of each export-ignored file, and each .gitattributes of the module once', async ({
    costOf,
  }) => {
    const files = {
      'go.mod': GO_MOD,
      '.gitattributes': '*.txt export-ignore\n',
      'a.txt': 'a\n',
      'x/b.txt': 'b\n',
      'x/.gitattributes': '*.txt eol=crlf\n',
    };
    expect(await costOf(files)).toEqual({ ...PLAIN, blob: 2, files: ['go.mod', '.gitattributes', 'x/.gitattributes'] });
  });

  test('requests no .gitattributes of nested modules and vendored directories', async ({ costOf }) => {
    const files = {
      'go.mod': GO_MOD,
      '.gitattributes': '*.txt export-ignore\n',
      'a.txt': 'a\n',
      'n/go.mod': 'x',
      'n/.gitattributes': '',
      'vendor/a/.gitattributes': '',
    };
    expect(await costOf(files)).toEqual({ ...PLAIN, blob: 1, files: ['go.mod', '.gitattributes'] });
  });

  test('requests the blob of each file that the archive changes, and each .gitattributes once', async ({ costOf }) => {
    const subst = {
      'go.mod': GO_MOD,
      '.gitattributes': '*.txt export-subst\n',
      'a.txt': '$Format:%H$\n',
      'b.txt': '$Format:%h$\n',
      'c.txt': 'nothing to expand\n',
    };
    expect(await costOf(subst)).toEqual({ ...PLAIN, blob: 2, files: ['go.mod', '.gitattributes'] });
    const crlf = { 'go.mod': GO_MOD, '.gitattributes': '*.bat eol=crlf\n', 'a.bat': 'a\n', 'b.sh': 'b\n' };
    expect(await costOf(crlf)).toEqual({ ...PLAIN, blob: 1, files: ['go.mod', '.gitattributes'] });
  });

  test('requests the blob of each file with another encoding, and each .gitattributes once', async ({ costOf }) => {
    const files = {
      'go.mod': GO_MOD,
      '.gitattributes': '*.txt working-tree-encoding=UTF-16LE\n',
      'a.txt': 'a\n',
      'b.txt': 'b\n',
    };
    expect(await costOf(files)).toEqual({ ...PLAIN, blob: 2, files: ['go.mod', '.gitattributes'] });
  });

  test('requests the LICENSE of the root if a module in a directory has none', async ({ costOf }) => {
    const files = {
      'sub/go.mod': `module gitlab.example/x/sub\n\ngo 1.24\n`,
      'sub/x.go': 'package sub\n',
      LICENSE: 'x\n',
    };
    expect(await costOf(files, 'sub/v1.0.0')).toEqual({ ...PLAIN, files: ['sub/go.mod', 'LICENSE'] });
    expect(await costOf({ ...files, 'sub/LICENSE': 'y\n' }, 'sub/v1.0.0')).toEqual({ ...PLAIN, files: ['sub/go.mod'] });
  });

  test('requests each .gitattributes above a module in a directory if one of its files is export-ignored', async ({
    costOf,
  }) => {
    const files = {
      'a/b/go.mod': 'module gitlab.example/x/a/b\n',
      'a/b/LICENSE': 'x\n',
      'a/b/x.txt': 'x\n',
      '.gitattributes': '*.txt export-ignore\n',
    };
    expect(await costOf(files, 'a/b/v1.0.0')).toEqual({
      ...PLAIN,
      blob: 1,
      files: ['a/b/go.mod', '.gitattributes', 'a/.gitattributes'],
    });
  });
});

/**
 * Counts the requests since they were cleared. Expects that all of them belong to the project and have a known kind.
 */
function countRequests(gitlab: StandIn, project: Project): Cost {
  const paths = gitlab.requests.map(({ path }) =>
    decodeURIComponent(path.replace(`/api/v4/projects/${project.id}`, '')),
  );
  const countOf = (pattern: RegExp): number => paths.filter((path) => pattern.test(path)).length;
  const counts = {
    project: countOf(/^$/),
    tag: countOf(/^\/repository\/tags\//),
    tree: countOf(/^\/repository\/tree$/),
    archive: countOf(/^\/repository\/archive/),
    blob: countOf(/^\/repository\/blobs\//),
  };
  const files = paths.flatMap((path) => /^\/repository\/files\/(.*)\/raw$/.exec(path)?.[1] ?? []);
  expect(paths, 'no other request').toHaveLength(
    files.length + Object.values(counts).reduce((sum, number) => sum + number, 0),
  );
  return { ...counts, files };
}
