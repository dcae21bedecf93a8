import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect } from 'vitest';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { get } from '../proxy/server.ts';
import { test as base } from './fixtures.ts';
import { startInProcess, type InProcess } from './in-process.ts';
import { library, PREFIX, pushTags, type Office } from './office.ts';

/** The number of requests of a flood, on how many connections it sends them, and the address of its client. */
const FLOOD = { requests: 3_000, connections: 30, address: '203.0.113.1' };
/** Calls to GitLab in a second. A request of the flood needs two calls. */
const RATE = 50;

const test = base
  .override('settings', { ON_DEMAND: 'on', SWEEP_MINUTES: '1000', GITLAB_RATE: String(RATE) })
  /** The same service as `service`, but with its queue in Redis. */
  .extend('serviceWithRedis', { scope: 'file' }, async ({ office, settings, redis }, { onCleanup }) => {
    const store = `file:${office.folder}/redis`;
    const service = await startInProcess({ ...office.settings, ...settings, STORE: store, REDIS_URL: redis.url });
    onCleanup(() => service[Symbol.asyncDispose]());
    return service;
  })
  .extend('services', { scope: 'file' }, ({ service, serviceWithRedis }) => ({
    memory: service,
    Redis: serviceWithRedis,
  }));
// The time limit of the first test does not cover the start.
test.beforeAll(({ services }) => void services);

let count = 0;

/** Creates a project with one version, which modpress does not know. */
async function createProject({ gitlab }: Office): Promise<Project> {
  const project = await gitlab.createProject(`group/lib${++count}`);
  await pushTags(project, library(`${PREFIX}/${project.path}`, 'one'), 'v1.0.0');
  return project;
}

/** Asks for the main branch of a project, as another client or from the same address. */
async function askForMain(service: InProcess, project: Project, address: string): Promise<number> {
  const headers = { 'X-Forwarded-For': address };
  return (await get(`${service.url}/${PREFIX}/${project.path}/@v/main.info`, { headers })).status;
}

/** A flood of requests for revisions of a project that do not exist. */
interface Flood extends Disposable {
  /** The number of calls to GitLab for the flood. */
  readonly calls: () => number;
  /** Closes the connections. */
  readonly leave: () => void;
}

/** Sends the flood as one client, without waiting for the answers. Resolves when the first calls were made for it. */
async function startFlood({ gitlab }: Office, service: InProcess, project: Project): Promise<Flood> {
  const { hostname, port } = new URL(service.url);
  const requestAt = (index: number): string =>
    `GET /${PREFIX}/${project.path}/@v/nope${index}.info HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${FLOOD.address}\r\n\r\n`;
  const sockets = Array.from({ length: FLOOD.connections }, () => connect(Number(port), hostname).resume());
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  const each = FLOOD.requests / FLOOD.connections;
  for (const [at, socket] of sockets.entries())
    socket.write(Array.from({ length: each }, (_, index) => requestAt(at * each + index)).join(''));
  const prefix = `/api/v4/projects/${project.id}/`;
  const calls = (): number =>
    gitlab.requests.filter(({ path }) => path.startsWith(prefix) && path.includes('nope')).length;
  await expect.poll(calls, { timeout: 30_000 }).toBeGreaterThan(20);
  const leave = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return { calls, leave, [Symbol.dispose]: leave };
}

describe.each(['memory', 'Redis'] as const)('with the queue in %s', (queue) => {
  test('a path of 480 elements costs at most 22 calls to GitLab', async ({ office, services }) => {
    const element = queue === 'memory' ? 'a' : 'b';
    const { status } = await get(`${services[queue].url}/${PREFIX}${`/${element}`.repeat(480)}/@v/list`);
    expect(status).toBe(404);
    const calls = office.gitlab.requests.filter(({ path }) => path.includes(`${element}%2F${element}`)).length;
    expect(calls).toBeGreaterThan(0);
    expect(calls).toBeLessThanOrEqual(22);
  });

  test.for([
    { who: 'another client', what: 'another module', address: '203.0.113.2', isOther: true },
    { who: 'another client', what: 'the same module', address: '203.0.113.2', isOther: false },
    { who: 'the same client', what: 'another module', address: FLOOD.address, isOther: true },
  ])(
    '$who is answered about $what long before 3,000 requests of one client',
    { timeout: 90_000 },
    async ({ address, isOther }, { office, services }) => {
      const [flooded, other] = [await createProject(office), await createProject(office)];
      using flood = await startFlood(office, services[queue], flooded);
      const before = flood.calls();
      expect(await askForMain(services[queue], isOther ? other : flooded, address)).toBe(200);
      // The first 1,000 requests of the flood need 2,000 calls. The others are refused.
      expect(flood.calls() - before).toBeLessThan(600);
    },
  );

  test('requests of clients that have left cost no more calls', { timeout: 90_000 }, async ({ office, services }) => {
    const flooded = await createProject(office);
    using flood = await startFlood(office, services[queue], flooded);
    flood.leave();
    const before = flood.calls();
    let last = -1;
    await expect
      .poll(
        () => {
          const isAtRest = flood.calls() === last;
          last = flood.calls();
          return isAtRest;
        },
        { interval: 2_000, timeout: 20_000 },
      )
      .toBe(true);
    expect(flood.calls() - before).toBeLessThan(600);
  });
});
