import { Redis } from 'ioredis';
import { expect } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import type { Role } from '../../src/config/service-config.ts';
import { outcomesPrefix } from '../../src/store/layout.ts';
import { outcomeSchema, type Outcome } from '../../src/store/outcome.ts';
import { S3Store } from '../../src/store/s3.ts';
import { call } from '../fake-gitlab/api-client.ts';
import type { Project, StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree, type FileContent } from '../fake-gitlab/work-tree.ts';
import { test as base } from './fixtures.ts';
import { addHook, checksumsDirect, checksumsThrough, library, PREFIX, pushTags } from './office.ts';
import { startModpress, type Service } from './service.ts';

const ADMIN_TOKEN = 'the-token-of-the-admins';
/**
 * The number of workers killed during the backfill, and the number of outcomes between two kills: about two seconds, at
 * GITLAB_RATE. With kills at fixed times, the backfill could finish before the last kill.
 */
const KILLS = 6;
const OUTCOMES_BETWEEN_KILLS = 6;

/** The projects of a GitLab, and the expected status of each tag. */
class Company {
  readonly gitlab: StandIn;
  readonly projects: Project[] = [];
  /** By project and tag. */
  readonly expected = new Map<string, Outcome['status']>();

  constructor(gitlab: StandIn) {
    this.gitlab = gitlab;
  }

  async createProject(path: string): Promise<Project> {
    const project = await this.gitlab.createProject(path);
    this.projects.push(project);
    return project;
  }

  /** Creates a tag that has to be published. */
  async tag(tree: WorkTree, project: Project, name: string): Promise<void> {
    await tree.tag(name);
    this.expected.set(`${project.path} ${name}`, 'published');
  }

  /** Pushes versions in one push, each on a separate commit. Creates the project if it does not exist. */
  async pushVersions(path: string, ...versions: readonly string[]): Promise<void> {
    const project = this.projects.find((known) => known.path === path) ?? (await this.createProject(path));
    await using tree = await WorkTree.create(project);
    for (const version of versions) {
      await tree.write(library(`${PREFIX}/${path}`, version)).commit(version);
      await this.tag(tree, project, version);
    }
    await tree.push('+main', ...versions);
  }
}

/** Three workers and a process for the other roles, on MinIO and Redis, and a GitLab with many projects. */
const test = base
  .override('gitlabOptions', { archiveLimit: 5, latencyMs: 20 })
  /** The store of all processes. */
  .extend('store', { scope: 'file' }, async ({ bucket, minio }) => {
    const { endpoint, accessKey, secretKey, region } = minio;
    return new S3Store({ http: new HttpClient(), bucket, prefix: '', endpoint, accessKey, secretKey, region });
  })
  .extend('company', { scope: 'file' }, async ({ office }) => {
    const company = new Company(office.gitlab);
    await addProjects(company);
    return company;
  })
  /** Starts a process with these roles. */
  .extend('start', { scope: 'file' }, ({ sharedSettings, startProcess }) => {
    // The low GITLAB_RATE keeps the backfill busy during all faults.
    const settings = { ...sharedSettings, ON_DEMAND: 'on', ADMIN_TOKEN, SWEEP_MINUTES: '0.1', GITLAB_RATE: '10' };
    return (...roles: readonly Role[]): Promise<Service> => startProcess(settings, ...roles);
  });

// The time limit of the test does not cover the start.
test.beforeAll(({ company, start }) => void [company, start], 120_000);

test('every tag ends with the right outcome and every checksum is right when many faults happen at once', async ({
  office,
  redis,
  start,
  store,
  company,
}) => {
  const startWorkers = (): Promise<Service[]> => Promise.all(Array.from({ length: 3 }, () => start('worker')));
  const outcomes = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      (await readOutcomes(store, company.projects)).map(({ project, tag, status }) => [
        `${project.path} ${tag}`,
        status,
      ]),
    );
  let front = await start('webhook', 'proxy');
  await disableHook(company, front);
  const workers = await startWorkers();
  const command = await startModpress(['backfill', '--url', front.url], { ADMIN_TOKEN });

  // The test does not wait for these: the backfill could finish in the meantime.
  const meanwhile: Promise<unknown>[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    await expect
      .poll(async () => Object.keys(await outcomes()).length, { timeout: 60_000, interval: 200 })
      .toBeGreaterThanOrEqual((kill + 1) * OUTCOMES_BETWEEN_KILLS);
    expect(command.child.exitCode).toBeNull();
    await expect.poll(() => workers.length, { timeout: 60_000 }).toBeGreaterThan(0);
    const [victim] = workers.splice(Math.floor(Math.random() * workers.length), 1);
    await victim?.kill();
    if (kill === 1) meanwhile.push(breakIngress(office.gitlab, front));
    if (kill === 2) await flush(redis.url);
    // GitLab calls no hook for a push of so many tags.
    if (kill === 3) {
      const versions = Array.from({ length: 50 }, (_, index) => `v1.${index}.0`);
      meanwhile.push(company.pushVersions('platform/burst', ...versions));
    }
    meanwhile.push(start('worker').then((worker) => workers.push(worker)));
  }
  await Promise.all(meanwhile);
  const result = await command.result;
  expect(result.stderr.split('\n').filter((line) => line.startsWith('modpress:'))).toEqual([]);
  expect(result).toMatchObject({ status: 0, stdout: expect.stringMatching(/failed +0\n/) });

  // modpress is down and its queue is lost, while pushes to GitLab continue.
  await Promise.all([front, ...workers].map((service) => service.kill()));
  await company.pushVersions('platform/late', 'v1.0.0', 'v1.1.0');
  await flush(redis.url);
  front = await start('webhook', 'proxy');
  await startWorkers();
  await expect.poll(outcomes, { timeout: 120_000, interval: 1_000 }).toEqual(Object.fromEntries(company.expected));

  // The tags were never missing, and GitLab never said so itself.
  const deleted: string[] = [];
  for (const { id } of company.projects)
    for await (const { key } of store.list(outcomesPrefix(id))) if (key.includes('deleted')) deleted.push(key);
  expect(deleted).toEqual([]);

  const versions = (await readOutcomes(store, company.projects))
    .filter(({ status }) => status === 'published')
    .map(({ module, version }) => `${module}@${version}`);
  expect(versions).toHaveLength([...company.expected.values()].filter((status) => status === 'published').length);
  expect(await checksumsThrough(front.url, ...versions)).toEqual(await checksumsDirect(office.gitlab, ...versions));
}, 400_000);

/** Creates projects whose tags have every kind of outcome, and two that get their tags later. */
async function addProjects(company: Company): Promise<void> {
  for (const name of ['a', 'b', 'c'])
    await company.pushVersions(`platform/${name}`, ...Array.from({ length: 8 }, (_, index) => `v1.${index}.0`));
  const mono = await company.createProject('platform/mono');
  await using tree = await WorkTree.create(mono);
  const modules = ['api', 'cli', 'core', 'web'];
  for (let release = 0; release < 5; release++) {
    for (const module of modules) tree.write(below(module, library(`${PREFIX}/platform/mono/${module}`, `${release}`)));
    await tree.write({ LICENSE: 'free\n' }).commit(`Release ${release}`);
    for (const module of modules) await company.tag(tree, mono, `${module}/v0.${release}.0`);
  }
  await tree.push();
  const script = await company.createProject('platform/script');
  await pushTags(script, { 'run.sh': 'echo\n' }, 'v0.1.0', 'nightly', 'release-7');
  for (const name of ['v0.1.0', 'nightly', 'release-7']) company.expected.set(`${script.path} ${name}`, 'skipped');
  const refused = await company.createProject('platform/refused');
  await pushTags(
    refused,
    { ...library(`${PREFIX}/platform/refused`, 'x'), 'A.go': 'package refused\n', 'a.go': 'package refused\n' },
    'v1.0.0',
  );
  company.expected.set(`${refused.path} v1.0.0`, 'refused');
  await company.createProject('platform/late');
  await company.createProject('platform/burst');
}

function below(directory: string, files: Readonly<Record<string, FileContent>>): Record<string, FileContent> {
  return Object.fromEntries(Object.entries(files).map(([path, content]) => [`${directory}/${path}`, content]));
}

/** Makes four deliveries in a row fail, after which GitLab no longer calls the hook. */
async function disableHook(company: Company, front: Service): Promise<void> {
  await addHook(company.gitlab, '/groups/platform', front.url, { token: 'not the secret' });
  const project = await company.createProject('platform/hooked');
  for (const version of ['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0']) {
    await company.pushVersions(project.path, version);
    await company.gitlab.settled();
  }
  const hooks = await call(company.gitlab, '/groups/platform/hooks');
  expect(hooks.json).toEqual([expect.objectContaining({ alert_status: 'temporarily_disabled' })]);
}

/**
 * For ten seconds, an ingress without a backend answers every call to GitLab. In this time, the proxy must not answer
 * that a version does not exist, and must not name an older pseudo-version than before.
 */
async function breakIngress(gitlab: StandIn, front: Service): Promise<void> {
  const fault = gitlab.faults.add({
    path: /^\/api\//,
    times: Number.MAX_SAFE_INTEGER,
    kind: { status: 404, body: 'default backend - 404', headers: { 'content-type': 'text/plain' } },
  });
  const statuses = new Set<number>();
  for (const end = performance.now() + 10_000; performance.now() < end;) {
    const response = await fetch(`${front.url}/${PREFIX}/platform/a/@v/main.info`);
    statuses.add(response.status);
    if (response.ok) expect(await response.json()).toMatchObject({ Version: expect.stringMatching(/^v1\.7\.0/) });
    else
      expect([response.status, await response.text()]).toEqual([
        response.status,
        expect.stringMatching(/^not available yet: /),
      ]);
  }
  fault.remove();
  expect(fault.hits).toBeGreaterThan(0);
  expect([...statuses].filter((status) => status === 404)).toEqual([]);
}

/** Deletes everything in Redis. */
async function flush(url: string): Promise<void> {
  const client = new Redis(url);
  await client.flushall();
  client.disconnect();
}

/** The latest outcome of each tag of these projects. */
async function readOutcomes(store: S3Store, projects: readonly Project[]) {
  const found: (Omit<Outcome, 'project'> & { readonly project: Project })[] = [];
  for (const project of projects) {
    for await (const { key } of store.list(outcomesPrefix(project.id))) {
      found.push({ ...outcomeSchema.parse(JSON.parse(String(await store.get(key)))), project });
    }
  }
  return found;
}
