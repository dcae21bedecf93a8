import { join } from 'node:path';
import type { Git } from '../fake-gitlab/git.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import type { Bench } from './bench.ts';
import { HUGE_TREE_BYTES, hugeTree, startTreeFront, type Tree } from './huge-tree.ts';
import { commitModule, commitPaths, type Shape } from './repository.ts';
import { MODULE_PREFIX, startService, type Service } from './service.ts';

/** The time and the memory of publishing one module. Sizes are in MB (2^20 bytes). */
export interface PublishFigures {
  readonly megabytes: number;
  readonly shape: Shape;
  /** The time from the start of the job to its outcome. */
  readonly seconds: number;
  /** The resident memory of the idle service after it has published a small module. */
  readonly idle: number;
  /** The peak memory during publishing, above `idle`. */
  readonly overIdle: number;
}

/**
 * Node's flags for the service that publishes from a huge tree. With a larger heap, V8 would collect garbage later, and
 * the measured memory would be too high.
 */
const LITTLE_HEAP = ['--max-old-space-size=64', '--max-semi-space-size=2'];

/** Publishes a small module in a huge tree, with a new service that has a small heap. */
export async function measureHugeTree(
  bench: Bench,
  files: number,
): Promise<Omit<PublishFigures, 'megabytes' | 'shape'>> {
  const group = 'size/huge-tree';
  bench.gitlab.createGroup(group);
  const { project, commit, tree } = await commitHugeTree(bench, `${group}/module`, files);
  await using front = await startTreeFront(bench.gitlab.url, project.id, tree);
  const place = join(bench.folder, 'service-huge-tree');
  await using service = await startService(
    { ...bench.gitlab, url: front.url },
    group,
    place,
    bench.deadline,
    LITTLE_HEAP,
  );
  await publish(bench, service, `${group}/first`, 'small', 0.2);
  const idle = (await service.memory()).now;
  const seconds = await publishCommit(bench.git, service, project, commit);
  const { peak } = await service.memory();
  return { seconds, idle, overIdle: peak - idle };
}

async function commitHugeTree(
  { gitlab, git }: Bench,
  path: string,
  files: number,
): Promise<{ project: Project; commit: string; tree: Tree }> {
  const project = await gitlab.createProject(path);
  const commit = await commitPaths(
    git,
    project.repositoryDir,
    `${MODULE_PREFIX}/${path}`,
    hugeTree(files),
    HUGE_TREE_BYTES,
  );
  const idOf = async (file: string): Promise<string> =>
    (await git.run(['rev-parse', `${commit}:${file}`], { cwd: project.repositoryDir })).toString().trim();
  const [first = ''] = hugeTree(files);
  const blob = await idOf(first);
  return {
    project,
    commit,
    tree: new Map([['go.mod', await idOf('go.mod')], ...Array.from(hugeTree(files), (file) => [file, blob] as const)]),
  };
}

/** Publishes a module of `megabytes` MB with a new service, and measures the memory of the service. */
export async function measurePublish(bench: Bench, shape: Shape, megabytes: number): Promise<PublishFigures> {
  const group = `size/${shape}-${megabytes}`;
  bench.gitlab.createGroup(group);
  await using service = await startService(
    bench.gitlab,
    group,
    join(bench.folder, `service-${shape}-${megabytes}`),
    bench.deadline,
  );
  await publish(bench, service, `${group}/first`, 'small', 0.2);
  const idle = (await service.memory()).now;
  const seconds = await publish(bench, service, `${group}/module`, shape, megabytes);
  const { peak } = await service.memory();
  return { megabytes, shape, seconds, idle, overIdle: peak - idle };
}

/** Creates a project with a module and publishes its first tag. Resolves to the duration of the job in seconds. */
async function publish(
  { gitlab, git, content }: Bench,
  service: Service,
  path: string,
  shape: Shape,
  megabytes: number,
): Promise<number> {
  const project = await gitlab.createProject(path);
  const commit = await commitModule(git, project.repositoryDir, `${MODULE_PREFIX}/${path}`, shape, megabytes, content);
  return publishCommit(git, service, project, commit);
}

async function publishCommit(git: Git, service: Service, project: Project, commit: string): Promise<number> {
  await git.run(['tag', 'v1.0.0', commit], { cwd: project.repositoryDir });
  await project.reload();
  await service.announce(project, 'v1.0.0', commit);
  const line = await service.logged(
    ({ event, projectId }) => projectId === project.id && String(event).startsWith('tag.'),
  );
  if (line['event'] !== 'tag.published') throw new Error(`${project.path} was not published: ${JSON.stringify(line)}`);
  return Number(line['seconds']);
}
