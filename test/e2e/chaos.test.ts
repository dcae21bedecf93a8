import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outcomesPrefix } from '../../src/store/layout.ts';
import { S3Store } from '../../src/store/s3.ts';
import { outcomeSchema } from '../../src/store/outcome.ts';
import { call } from '../fake-gitlab/api-client.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { startMinio, type Minio } from '../services/minio.ts';
import { startRedis, type RedisService } from '../services/redis.ts';
import {
  addHook,
  checksumsDirect,
  checksumsThrough,
  library,
  openOffice,
  PREFIX,
  pushTags,
  type Office,
} from './office.ts';
import { startModpress, startService, type Service } from './service.ts';

const ADMIN_TOKEN = 'the-token-of-the-admins';
/**
 * The number of workers killed during the backfill, and the number of outcomes between two kills: about two seconds, at
 * GITLAB_RATE. With kills at fixed times, the backfill could finish before the last kill.
 */
const KILLS = 6;
const OUTCOMES_OF_A_LIFE = 6;

/** A front and three workers on MinIO and Redis, a hook that GitLab has disabled, and many simultaneous faults. */
describe('when many faults happen at once', () => {
  let office: Office;
  let minio: Minio;
  let redis: RedisService;
  let settings: Record<string, string>;
  let store: S3Store;
  let front: Service;
  const workers: Service[] = [];
  const projects: Project[] = [];
  /** The expected status of each tag, by project and tag. */
  const expected = new Map<string, 'published' | 'skipped' | 'refused'>();

  beforeAll(async () => {
    [office, minio, redis] = await Promise.all([
      openOffice({ archiveLimit: 5, latencyMs: 20 }),
      startMinio(),
      startRedis({ own: true }),
    ]);
    const bucket = await minio.bucket();
    const { endpoint, accessKey, secretKey, region } = minio;
    store = new S3Store({ bucket, prefix: '', endpoint, accessKey, secretKey, region });
    settings = {
      ...office.settings,
      ADMIN_TOKEN,
      SWEEP_MINUTES: '0.1',
      // This keeps the backfill busy during all faults.
      GITLAB_RATE: '10',
      STORE: `s3://${bucket}`,
      S3_ENDPOINT: endpoint,
      AWS_ACCESS_KEY_ID: accessKey,
      AWS_SECRET_ACCESS_KEY: secretKey,
      AWS_REGION: region,
      REDIS_URL: redis.url,
    };
    await makeProjects();
  }, 120_000);
  afterAll(async () => {
    await Promise.all([front, ...workers].map((service) => service?.kill()));
    await store?.[Symbol.asyncDispose]();
    await Promise.all([minio?.close(), redis?.close(), office?.[Symbol.asyncDispose]()]);
  }, 60_000);

  test('every tag ends with the right outcome, and every checksum is right', async () => {
    front = await startService(settings, ['webhook', 'proxy']);
    await disableHook();
    workers.push(...(await Promise.all(Array.from({ length: 3 }, () => startService(settings, ['worker'])))));
    const command = await startModpress(['backfill', '--url', front.url], { ADMIN_TOKEN });

    // The test does not wait for these: the backfill could finish in the meantime.
    const meanwhile: Promise<unknown>[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      await expect
        .poll(async () => Object.keys(await outcomes()).length, { timeout: 60_000, interval: 200 })
        .toBeGreaterThanOrEqual((kill + 1) * OUTCOMES_OF_A_LIFE);
      expect(command.child.exitCode).toBeNull();
      await expect.poll(() => workers.length, { timeout: 60_000 }).toBeGreaterThan(0);
      const [victim] = workers.splice(Math.floor(Math.random() * workers.length), 1);
      await victim?.kill();
      if (kill === 2) await flush();
      // GitLab calls no hook for a push of so many tags.
      if (kill === 3) meanwhile.push(push50Tags());
      meanwhile.push(startService(settings, ['worker']).then((worker) => workers.push(worker)));
    }
    await Promise.all(meanwhile);
    const result = await command.result;
    expect(result.stderr.split('\n').filter((line) => line.startsWith('modpress:'))).toEqual([]);
    expect(result).toMatchObject({ status: 0, stdout: expect.stringMatching(/failed +0\n/) });

    // modpress is down and its queue is lost, while pushes to GitLab continue.
    await Promise.all([front, ...workers.splice(0)].map((service) => service.kill()));
    await pushVersions('platform/late', 'v1.0.0', 'v1.1.0');
    await flush();
    front = await startService(settings, ['webhook', 'proxy']);
    workers.push(...(await Promise.all(Array.from({ length: 3 }, () => startService(settings, ['worker'])))));
    await expect.poll(outcomes, { timeout: 120_000, interval: 1_000 }).toEqual(Object.fromEntries(expected));

    const versions = await publishedVersions();
    expect(versions).toHaveLength([...expected.values()].filter((status) => status === 'published').length);
    expect(await checksumsThrough(front.url, ...versions)).toEqual(await checksumsDirect(office.gitlab, ...versions));
  }, 400_000);

  async function makeProjects(): Promise<void> {
    for (const name of ['a', 'b', 'c'])
      await pushVersions(`platform/${name}`, ...Array.from({ length: 8 }, (_, index) => `v1.${index}.0`));
    const mono = await newProject('platform/mono');
    await using tree = await WorkTree.create(mono);
    const modules = ['api', 'cli', 'core', 'web'];
    for (let release = 0; release < 5; release++) {
      for (const module of modules)
        tree.write(below(module, library(`${PREFIX}/platform/mono/${module}`, `${release}`)));
      await tree.write({ LICENSE: 'free\n' }).commit(`Release ${release}`);
      for (const module of modules) await tag(tree, mono, `${module}/v0.${release}.0`, 'published');
    }
    await tree.push();
    const script = await newProject('platform/script');
    await pushTags(script, { 'run.sh': 'echo\n' }, 'v0.1.0', 'nightly', 'release-7');
    for (const name of ['v0.1.0', 'nightly', 'release-7']) expected.set(`${script.path} ${name}`, 'skipped');
    const refused = await newProject('platform/refused');
    await pushTags(
      refused,
      { ...library(`${PREFIX}/platform/refused`, 'x'), 'A.go': 'package refused\n', 'a.go': 'package refused\n' },
      'v1.0.0',
    );
    expected.set(`${refused.path} v1.0.0`, 'refused');
    await newProject('platform/late');
    await newProject('platform/burst');
  }

  async function newProject(path: string): Promise<Project> {
    const project = await office.gitlab.createProject(path);
    projects.push(project);
    return project;
  }

  async function tag(
    tree: WorkTree,
    project: Project,
    name: string,
    status: 'published' | 'skipped' | 'refused',
  ): Promise<void> {
    await tree.tag(name);
    expected.set(`${project.path} ${name}`, status);
  }

  /** Pushes versions in one push, each on a separate commit. */
  async function pushVersions(path: string, ...versions: readonly string[]): Promise<void> {
    const project = projects.find((known) => known.path === path) ?? (await newProject(path));
    await using tree = await WorkTree.create(project);
    for (const version of versions) {
      await tree.write(library(`${PREFIX}/${path}`, version)).commit(version);
      await tag(tree, project, version, 'published');
    }
    await tree.push('+main', ...versions);
  }

  async function push50Tags(): Promise<void> {
    await pushVersions('platform/burst', ...Array.from({ length: 50 }, (_, index) => `v1.${index}.0`));
  }

  /** Makes four deliveries in a row fail, after which GitLab no longer calls the hook. */
  async function disableHook(): Promise<void> {
    await addHook(office.gitlab, '/groups/platform', front.url, { token: 'not the secret' });
    const project = await newProject('platform/hooked');
    for (const version of ['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0']) {
      await pushVersions(project.path, version);
      await office.gitlab.settled();
    }
    const hooks = await call(office.gitlab, '/groups/platform/hooks');
    expect(hooks.json).toEqual([expect.objectContaining({ alert_status: 'temporarily_disabled' })]);
  }

  async function flush(): Promise<void> {
    const client = new Redis(redis.url);
    await client.flushall();
    client.disconnect();
  }

  /** The status of each tag's latest outcome, in the form of `expected`. */
  async function outcomes(): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const project of projects) {
      for await (const { key } of store.list(outcomesPrefix(project.id))) {
        const outcome = outcomeSchema.parse(JSON.parse(String(await store.get(key))));
        found[`${project.path} ${outcome.tag}`] = outcome.status;
      }
    }
    return found;
  }

  async function publishedVersions(): Promise<string[]> {
    const versions: string[] = [];
    for (const project of projects) {
      for await (const { key } of store.list(outcomesPrefix(project.id))) {
        const { status, module, version } = outcomeSchema.parse(JSON.parse(String(await store.get(key))));
        if (status === 'published') versions.push(`${module}@${version}`);
      }
    }
    return versions;
  }
});

function below(directory: string, files: Readonly<Record<string, unknown>>): Parameters<WorkTree['write']>[0] {
  return Object.fromEntries(
    Object.entries(files).map(([path, content]) => [`${directory}/${path}`, content]),
  ) as Parameters<WorkTree['write']>[0];
}
