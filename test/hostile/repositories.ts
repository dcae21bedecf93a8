import { library, PREFIX } from '../e2e/office.ts';
import type { FileContent } from '../fake-gitlab/work-tree.ts';
import { repositoryUpdate, zeros } from '../webhook/deliveries.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { lines, numbers, words } from './text.ts';

/** Commits and tags content. Resolves to the names of the tags. */
export type Content = (tree: WorkTree, module: string) => Promise<readonly string[]>;

const goMod = (module: string, rest: string): Record<string, FileContent> => ({
  ...library(module, 'hostile'),
  'go.mod': `module ${module}\n\ngo 1.21\n\n${rest}`,
});

async function oneTag(tree: WorkTree, files: Record<string, FileContent>): Promise<readonly string[]> {
  await tree.write(files).commit('Hostile');
  await tree.tag('v1.0.0');
  return ['v1.0.0'];
}

/** Content that makes a naive reader work without end, by name. */
export const ATTACKS: Readonly<Record<string, Content>> = {
  'go.mod with a long run of spaces': (tree, module) => oneTag(tree, goMod(module, `// x${' '.repeat(100_000)}x\n`)),
  'go.mod with 300,000 retractions': (tree, module) =>
    oneTag(tree, goMod(module, `retract (\n${'\tv0.0.1\n'.repeat(300_000)})\n`)),
  '200,000 attributes': (tree, module) =>
    oneTag(tree, {
      ...library(module, 'hostile'),
      '.gitattributes': `${lines(1000, (line) => `* ${words(200, (index) => `a${200 * line + index}`)}`)}\n`,
      ...Object.fromEntries(numbers(20).map((index) => [`files/${index}.txt`, `${index}\n`])),
    }),
  '8,000 chained macros': (tree, module) =>
    oneTag(tree, {
      ...library(module, 'hostile'),
      '.gitattributes': `${lines(8_000, (index) => `[attr]m${index} m${index + 1}`)}\n* m0\n`,
    }),
  '800 tags in one push': async (tree, module) => {
    await tree.write(library(module, 'hostile')).commit('Many');
    const tags = numbers(800).map((index) => `v1.${index}.0`);
    await tree.tag(tags);
    return tags;
  },
  '300 tags on 20 branches': async (tree, module) => {
    const tags: string[] = [];
    for (let index = 0; index < 20; index++) {
      await tree.branch(`release-${index}`);
      await tree.write(library(module, `word ${index}`)).commit(`${index}`);
      const released = numbers(15).map((patch) => `v0.${index}.${patch}`);
      await tree.tag(released);
      tags.push(...released);
    }
    return tags;
  },
  'a path of 60 KB': (tree, module) =>
    oneTag(tree, { ...library(module, 'hostile'), [`${`${'d'.repeat(250)}/`.repeat(240)}file.txt`]: 'x\n' }),
  'a commit in the year 10000': async (tree, module) => {
    await tree.write(library(module, 'hostile')).commit('Late', { date: new Date(Date.UTC(10_000, 0, 1)) });
    await tree.tag('v1.0.0');
    return ['v1.0.0'];
  },
  '2,000 modules in one repository': (tree, module) =>
    oneTag(tree, {
      ...library(module, 'hostile'),
      ...Object.fromEntries(numbers(2_000).map((index) => [`m${index}/go.mod`, `module ${module}/m${index}\n`])),
    }),
};

/** A project with tags of which GitLab has sent no event yet. */
export interface Pushed {
  readonly module: string;
  /** The body of the event with all tags. */
  readonly event: string;
}

/** Pushes a repository with this content. */
export async function pushRepository(project: Project, content: Content): Promise<Pushed> {
  await using tree = await WorkTree.create(project);
  const module = `${PREFIX}/${project.path}`;
  const tags = await content(tree, module);
  await tree.push();
  const event = {
    ...repositoryUpdate(
      tags.map((name) => ({ before: zeros, after: tree.head(`refs/tags/${name}`), ref: `refs/tags/${name}` })),
    ),
    project_id: project.id,
    project: { id: project.id, name: project.path, path_with_namespace: project.path },
  };
  return { module, event: JSON.stringify(event) };
}

/** Content as most modules have it. */
export async function honest(tree: WorkTree, module: string): Promise<readonly string[]> {
  return oneTag(tree, library(module, 'honest'));
}
