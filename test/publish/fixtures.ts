import { join } from 'node:path';
import type { ModulePath } from '../../src/module/path.ts';
import type { PublisherParts } from '../../src/publish/publisher.ts';
import { test as base } from '../fake-gitlab/fixtures.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { modulePath } from '../proxy/modules.ts';
import { startPublishing, type Publishing } from './publishing.ts';

/** First part of all module paths. */
export const HOST = 'gitlab.example';

/** A new project, and an empty clone of it. */
export interface Repository {
  readonly project: Project;
  readonly tree: WorkTree;
  /** The path of a module at the root of the repository. */
  readonly module: ModulePath;
}

/** Tests of publishing, with a fake GitLab without a limit on archives. */
export const test = base
  .override('gitlabOptions', { archiveLimit: 'off' })
  /** Creates a project whose path is the prefix and a number. All clones are removed at the end of the file. */
  .extend('createRepository', { scope: 'file' }, ({ gitlab }, { onCleanup }) => {
    const trees: WorkTree[] = [];
    onCleanup(async () => {
      for (const tree of trees) await tree.remove();
    });
    let count = 0;
    return async (prefix = 'group/lib'): Promise<Repository> => {
      const project = await gitlab.createProject(`${prefix}${++count}`);
      const tree = await WorkTree.create(project);
      trees.push(tree);
      return { project, tree, module: modulePath(`${HOST}/${project.path}`) };
    };
  })
  /**
   * Creates a publisher with these parts. Its files, and its store by default, are in `name` in the folder of the test.
   */
  .extend(
    'createPublishing',
    ({ gitlab, folder }) =>
      (parts: Partial<PublisherParts> = {}, name = ''): Promise<Publishing> =>
        startPublishing(gitlab, join(folder, name), { modulePrefix: HOST, parts }),
  )
  /** A publisher with an empty store. */
  .extend('publishing', ({ createPublishing }) => createPublishing());
