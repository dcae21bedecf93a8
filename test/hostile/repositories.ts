import { library, PREFIX } from '../e2e/office.ts';
import type { FileContent } from '../fake-gitlab/work-tree.ts';
import { repositoryUpdate, zeros } from '../webhook/deliveries.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';

/** Commits and tags content that makes a naive reader work without end. Resolves to the names of the tags. */
type Attack = (tree: WorkTree, module: string) => Promise<readonly string[]>;

const goMod = (module: string, rest: string): Record<string, FileContent> => ({
  ...library(module, 'hostile'),
  'go.mod': `module ${module}\n\ngo 1.21\n\n${rest}`,
});

const words = (count: number, word: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => word(index)).join(' ');
const lines = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => `${line(index)}\n`).join('');

async function oneTag(tree: WorkTree, files: Record<string, FileContent>): Promise<readonly string[]> {
  await tree.write(files).commit('Hostile');
  await tree.tag('v1.0.0');
  return ['v1.0.0'];
}

/** Each attack by name. The names describe the content. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  'go.mod with a long run of spaces': (tree, module) => oneTag(tree, goMod(module, `// x${' '.repeat(100_000)}x\n`)),
  'go.mod with 300,000 retractions': (tree, module) =>
    oneTag(tree, goMod(module, `retract (\n${'\tv0.0.1\n'.repeat(300_000)})\n`)),
  '200,000 attributes': (tree, module) =>
    oneTag(tree, {
      ...library(module, 'hostile'),
      '.gitattributes': lines(1000, (line) => `* ${words(200, (word) => `a${200 * line + word}`)}`),
      ...Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`files/${index}.txt`, `${index}\n`])),
    }),
  '8,000 chained macros': (tree, module) =>
    oneTag(tree, {
      ...library(module, 'hostile'),
      '.gitattributes': `${Array.from({ length: 8_000 }, (_, index) => `[attr]m${index} m${index + 1}\n`).join('')}* m0\n`,
    }),
  '800 tags in one push': async (tree, module) => {
    await tree.write(library(module, 'hostile')).commit('Many');
    const tags = Array.from({ length: 800 }, (_, index) => `v1.${index}.0`);
    await tree.tag(tags);
    return tags;
  },
  '300 tags on 20 branches': async (tree, module) => {
    const tags: string[] = [];
    for (let index = 0; index < 20; index++) {
      await tree.branch(`release-${index}`);
      await tree.write(library(module, `word ${index}`)).commit(`${index}`);
      const released = Array.from({ length: 15 }, (_, patch) => `v0.${index}.${patch}`);
      await tree.tag(released);
      tags.push(...released);
    }
    return tags;
  },
  'a path of 60 KB': (tree, module) =>
    oneTag(tree, { ...library(module, 'hostile'), [`${`${'d'.repeat(250)}/`.repeat(240)}file.txt`]: 'x\n' }),
  'a commit in the year 9999': async (tree, module) => {
    await tree.write(library(module, 'hostile')).commit('Late', { date: new Date(Date.UTC(9999, 11, 31)) });
    await tree.tag('v1.0.0');
    return ['v1.0.0'];
  },
  '2,000 modules in one repository': (tree, module) =>
    oneTag(tree, {
      ...library(module, 'hostile'),
      ...Object.fromEntries(
        Array.from({ length: 2_000 }, (_, index) => [`m${index}/go.mod`, `module ${module}/m${index}\n`]),
      ),
    }),
};

/** A project with tags of which GitLab has sent no event yet. */
export interface Pushed {
  readonly module: string;
  /** The body of the event with all tags. */
  readonly event: string;
}

/** Pushes a repository with the content of `attack`. */
export async function pushAttack(project: Project, attack: Attack): Promise<Pushed> {
  await using tree = await WorkTree.create(project);
  const module = `${PREFIX}/${project.path}`;
  const tags = await attack(tree, module);
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
