import { join } from 'node:path';
import type { Bench } from './bench.ts';
import { commitModule, type Shape } from './repository.ts';
import { MODULE_PREFIX, startService, type Service } from './service.ts';

/** What it took to publish one module. Sizes in MB (2^20 bytes). */
export interface PublishFigures {
  readonly megabytes: number;
  readonly shape: Shape;
  /** From the start of the job to its outcome. */
  readonly seconds: number;
  /** Resident memory of the idle service, after it has published a small module. */
  readonly idle: number;
  /** The most that publishing took beyond that. */
  readonly overIdle: number;
}

/** Publishes a module of so many MB with a fresh service, and measures the service's process. */
export async function measurePublish(bench: Bench, shape: Shape, megabytes: number): Promise<PublishFigures> {
  const group = `size/${shape}-${megabytes}`;
  bench.gitlab.createGroup(group);
  await using service = await startService(bench.gitlab, group, join(bench.folder, `service-${shape}-${megabytes}`), bench.deadline);
  await publish(bench, service, `${group}/first`, 'small', 0.2);
  const idle = (await service.memory()).now;
  const seconds = await publish(bench, service, `${group}/module`, shape, megabytes);
  const { peak } = await service.memory();
  return { megabytes, shape, seconds, idle, overIdle: peak - idle };
}

/** Makes a project with a module and has its first tag published. Resolves to the seconds that the job took. */
async function publish({ gitlab, git, content }: Bench, service: Service, path: string, shape: Shape, megabytes: number): Promise<number> {
  const project = await gitlab.createProject(path);
  const commit = await commitModule(git, project.repositoryDir, `${MODULE_PREFIX}/${path}`, shape, megabytes, content);
  await git.run(['tag', 'v1.0.0', commit], { cwd: project.repositoryDir });
  await project.reload();
  await service.announce(project, 'v1.0.0', commit);
  const line = await service.logged(({ msg, projectId }) => projectId === project.id && /^(version|tag) /.test(String(msg)));
  if (line['msg'] !== 'version published') throw new Error(`${path} was not published: ${JSON.stringify(line)}`);
  return Number(line['seconds']);
}
