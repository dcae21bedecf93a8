import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openOffice, PREFIX } from '../e2e/office.ts';
import { startService, type Service } from '../e2e/service.ts';
import type { StandIn } from '../fake-gitlab/stand-in.ts';
import { readMemory } from '../services/memory.ts';
import { startRedis } from '../services/redis.ts';
import { signedHeaders, signingToken } from '../webhook/deliveries.ts';
import type { Observation } from './clients.ts';
import { ATTACKS, honest, pushRepository, type Content, type Pushed } from './repositories.ts';

const HONEST = Array.from({ length: 30 }, () => honest);
/** Each attack several times. */
const HOSTILE = Array.from({ length: 4 }, () => Object.values(ATTACKS))
  .flat()
  .slice(0, 30);
const MAX_MEGABYTES = 400;
const MAX_HEALTH_MS = 250;
/**
 * The maximum time of the honest projects beside the attack, as a multiple of their time without it. Projects take
 * turns, so an honest tag waits for about one tag of each hostile project, which takes a few times as long.
 */
const MAX_DELAY = 10;

test.each(['in the process', 'in Redis'])(
  'hostile repositories and clients do not stop honest projects, with the queue %s',
  // Other work of a busy machine delays the responses too.
  { timeout: 120_000, retry: 2 },
  async (queue) => {
    await using office = await openOffice({ archiveLimit: 'off' });
    await using redis = await startRedis({ own: true });
    const { gitlab } = office;
    const secret = signingToken();
    await using modpress = await startService({
      ...office.settings,
      ON_DEMAND: 'on',
      STORE: `file:${office.folder}/store`,
      WEBHOOK_SIGNING_TOKEN: secret,
      ...(queue === 'in Redis' && { REDIS_URL: redis.url }),
    });
    await modpress.logged('sweep.finished');
    const alone = await pushAll(gitlab, 'honest/alone', HONEST);
    const beside = await pushAll(gitlab, 'honest/beside', HONEST);
    const hostile = await pushAll(gitlab, 'hostile/attack', HOSTILE);

    const aloneMs = await publish(modpress, secret, alone);
    await using clients = startClients(modpress, `${PREFIX}/honest/alone-0`, `${PREFIX}/hostile/attack-1`);
    await Promise.all(hostile.map(({ event }) => deliver(modpress, secret, event)));
    const besideMs = await publish(modpress, secret, beside);
    const { slowestHealthMs, requests } = await clients.stop();

    expect(besideMs / aloneMs).toBeLessThan(MAX_DELAY);
    expect(slowestHealthMs).toBeLessThan(MAX_HEALTH_MS);
    expect((await readMemory(modpress.pid)).peak).toBeLessThan(MAX_MEGABYTES);
    expect(requests).toBeGreaterThan(100);
  },
);

/** Pushes a repository with each content. GitLab sends no events for them. */
async function pushAll(gitlab: StandIn, name: string, contents: readonly Content[]): Promise<Pushed[]> {
  return await Promise.all(
    contents.map(async (content, index) => pushRepository(await gitlab.createProject(`${name}-${index}`), content)),
  );
}

async function deliver({ url }: Service, secret: string, event: string): Promise<void> {
  const response = await fetch(`${url}/-/webhook`, {
    method: 'POST',
    headers: { ...signedHeaders(secret, event), 'X-Gitlab-Event': 'System Hook' },
    body: event,
  });
  expect(response.status, await response.text()).toBeLessThan(300);
}

/** Delivers the events at once. Resolves to the time until all tags are published, in milliseconds. */
async function publish(modpress: Service, secret: string, pushed: readonly Pushed[]): Promise<number> {
  const started = performance.now();
  await Promise.all(
    pushed.map(async ({ module, event }) => {
      await deliver(modpress, secret, event);
      await modpress.logged('tag.published', { module, version: 'v1.0.0' });
    }),
  );
  return performance.now() - started;
}

/** The running program with the hostile clients. */
interface Clients extends AsyncDisposable {
  readonly stop: () => Promise<Observation>;
}

/** Starts the program with the hostile clients. `project` and `hostile` are module paths that the clients request. */
function startClients({ url }: Service, project: string, hostile: string): Clients {
  const program = fileURLToPath(new URL('./clients.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', program, url, project, hostile], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const output = text(child.stdout);
  const closed = once(child, 'close');
  return {
    stop: async () => {
      child.stdin.end();
      return JSON.parse(await output) as Observation;
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await closed;
    },
  };
}
