import { createHmac, randomUUID } from 'node:crypto';
import { request as sendRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A program with hostile clients of a service, until its stdin is closed. It also observes the service, and then
 * prints an Observation as JSON. It is a process of its own, so that nothing else delays its requests.
 *
 * The arguments are the URL of the service, the module path of a published module, and that of a hostile module.
 */
const [url = '', project = '', hostile = ''] = process.argv.slice(2);

/** What the clients have seen of the service. */
export interface Observation {
  /** The duration of the slowest response of healthz, in milliseconds. */
  readonly slowestHealthMs: number;
  /** The number of requests by the hostile clients. */
  readonly requests: number;
}

/** The number of clients of each kind. There are five kinds. */
const CLIENTS_OF_A_KIND = 10;
/** How long a client holds a connection, in milliseconds. */
const HOLD_MS = 5_000;
/** How long a client waits before its next request, in milliseconds. */
const PAUSE_MS = 250;

const stop = new AbortController();
process.stdin.on('end', () => stop.abort()).resume();

/** Sends a request, and ignores the response and every error. */
async function ask(path: string): Promise<void> {
  try {
    const response = await fetch(`${url}${path}`, { signal: stop.signal });
    await response.arrayBuffer();
  } catch {
    // The service may close the connection of a hostile client.
  }
}

/** Sends a request with `send`, reads no response, and keeps the connection open for a while. */
async function hold(
  path: string,
  options: Parameters<typeof sendRequest>[1],
  send: (request: ReturnType<typeof sendRequest>) => void,
): Promise<void> {
  const request = sendRequest(`${url}${path}`, { ...options, agent: false });
  request.on('error', () => undefined);
  request.on('response', (response) => response.pause());
  send(request);
  await sleep(HOLD_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  request.destroy();
}

const unfinishedDelivery = (): Parameters<typeof sendRequest>[1] => ({
  method: 'POST',
  headers: {
    'content-type': 'application/json',
    'content-length': '20000000',
    'webhook-id': randomUUID(),
    'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
    'webhook-signature': `v1,${createHmac('sha256', 'x').digest('base64')}`,
  },
});

const CLIENTS: readonly (() => Promise<void>)[] = [
  // A delivery with a signature of the right form, and a body that never ends.
  () => hold('/-/webhook', unfinishedDelivery(), (request) => request.write(Buffer.alloc(1_000_000))),
  // A path that is deeper than every project.
  () => ask(`/${project}${'/a'.repeat(400)}/@v/list`),
  // Versions that do not exist.
  () => ask(`/${project}/@v/${randomUUID()}.info`),
  // A reader that stops.
  () => hold(`/${project}/@v/v1.0.0.zip`, {}, (request) => request.end()),
  // The newest version of a hostile repository.
  () => ask(`/${hostile}/@latest`),
];

let requests = 0;
async function runClient(client: () => Promise<void>): Promise<void> {
  while (!stop.signal.aborted) {
    requests++;
    await client();
    await sleep(PAUSE_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

let slowestHealthMs = 0;
async function observe(): Promise<void> {
  while (!stop.signal.aborted) {
    const started = performance.now();
    const response = await fetch(`${url}/-/healthz`);
    await response.text();
    if (response.status !== 200) throw new Error(`the service is not healthy: ${response.status}`);
    slowestHealthMs = Math.max(slowestHealthMs, performance.now() - started);
    await sleep(20);
  }
}

await Promise.all([
  observe(),
  ...CLIENTS.flatMap((client) => Array.from({ length: CLIENTS_OF_A_KIND }, () => runClient(client))),
]);
process.stdout.write(JSON.stringify({ slowestHealthMs, requests } satisfies Observation));
