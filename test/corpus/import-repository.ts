import { Git } from '../fake-gitlab/git.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import type { CorpusModule } from './corpus.ts';

/** The commit time of a version whose archive does not state a time. */
const TIME = new Date('2020-02-02T02:02:02Z');

/**
 * Writes versions to an empty project with one run of `git fast-import`. The commits follow each other on main. Each
 * contains only the files of its module, and has the tag of the module, if any. Two versions with the same tag are the
 * same commit. Returns the commit ids. Throws if versions with the same tag have different files.
 */
export async function importRepository(
  project: Project,
  modules: readonly CorpusModule[],
): Promise<ReadonlyMap<CorpusModule, string>> {
  const script: (string | Buffer)[] = [];
  const marks = new Map<CorpusModule, number>();
  let newest: CorpusModule | undefined;
  let mark = 0;
  for (const module of modules) {
    if (module.tag === undefined || module.tag !== newest?.tag) script.push(...commit(module, ++mark));
    else if (!sameFiles(module, newest))
      throw new Error(`${newest.name} and ${module.name} have the same tag but different files`);
    marks.set(module, mark);
    newest = module;
  }
  script.push(...Array.from(marks.values(), (one) => `get-mark :${one}\n`));
  const git = new Git();
  const output = await git.run(['fast-import', '--quiet', '--date-format=raw'], {
    cwd: project.repositoryDir,
    input: Buffer.concat(script.map((part) => Buffer.from(part as string))),
  });
  await project.reload();
  const ids = output.toString().trim().split('\n');
  return new Map(Array.from(marks.keys(), (module, index) => [module, ids[index] ?? '']));
}

function commit({ name, files, tag, time }: CorpusModule, mark: number): (string | Buffer)[] {
  const date = `${(time ?? TIME).getTime() / 1000} +0000`;
  return [
    `commit refs/heads/main\nmark :${mark}\n`,
    `author Ada Author <ada@example.com> ${date}\ncommitter Carl Committer <carl@example.com> ${date}\n`,
    ...data(name),
    'deleteall\n',
    ...Array.from(files, ([path, content]) => [`M 100644 inline ${quoted(path)}\n`, ...data(content)]).flat(),
    ...(tag === undefined ? [] : [`reset refs/tags/${tag}\nfrom :${mark}\n`]),
    '\n',
  ];
}

function data(content: string): (string | Buffer)[] {
  const bytes = Buffer.from(content);
  return [`data ${bytes.length}\n`, bytes, '\n'];
}

/** Quotes a path in git's C style, with each special byte in octal. */
function quoted(path: string): string {
  return `"${Buffer.from(path)
    .toString('latin1')
    .replaceAll(/[^\w/.-]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`)}"`;
}

function sameFiles(one: CorpusModule, other: CorpusModule): boolean {
  return JSON.stringify([...one.files]) === JSON.stringify([...other.files]);
}
