import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import type { Certificates } from './certificates.ts';
import { freePort } from './free-port.ts';

/** A redis-server that a test has started. It listens on 127.0.0.1. */
export interface RedisServer extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** Opens a connection for the test. The test must disconnect it before the server ends. */
  connect(options?: RedisOptions): Redis;
  /** Ends the server. Its data and its port remain for `start`. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  start(): Promise<void>;
  /** Ends the server, and removes its files. */
  close(): Promise<void>;
}

interface ServerOptions {
  /** More lines of the configuration. */
  readonly config?: readonly string[];
  /** With certificates, the server accepts only TLS. */
  readonly certificates?: Certificates | undefined;
  /** A name in the certificate; 127.0.0.1 by default. */
  readonly serverName?: string;
  /** Starts a Sentinel instead of a server with data. */
  readonly isSentinel?: boolean;
}

const howToGetIt = 'these tests need redis-server: install Redis (Debian and Ubuntu: apt-get install redis-server)';

/** A server that does not respond after this time is ended, in milliseconds. */
const START_MS = 15_000;
/** The running servers. They end with this process, even if a test does not close them. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const server of running) server.kill('SIGKILL');
});

/** Starts a redis-server on a free port. Its data are in an append-only file. */
export async function startRedisServer(options: ServerOptions = {}): Promise<RedisServer> {
  const { config = [], certificates, serverName, isSentinel = false } = options;
  const directory = await mkdtemp(path.join(tmpdir(), 'modpress-redis-'));
  const port = await freePort();
  const file = path.join(directory, 'redis.conf');
  const lines = [
    'bind 127.0.0.1',
    `dir ${directory}`,
    ...(certificates ? tlsLines(port, certificates) : [`port ${port}`]),
    ...(isSentinel ? [] : ['save ""', 'appendonly yes', 'repl-diskless-sync-delay 0']),
    ...config,
  ];
  // A server in cluster mode and a Sentinel change this file. It is written only once, so that they keep their state.
  await writeFile(file, `${lines.join('\n')}\n`);
  const connect = (more: RedisOptions = {}): Redis =>
    new Redis({
      host: '127.0.0.1',
      port,
      ...(certificates && { tls: { ca: certificates.ca, ...(serverName && { servername: serverName }) } }),
      ...more,
    }).on('error', () => {
      // The commands of the test reject with the error.
    });

  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const child = spawn('redis-server', [file, ...(isSentinel ? ['--sentinel'] : [])], { stdio: 'ignore' });
    server = child;
    running.add(child);
    let failure: Error | undefined;
    child.once('error', (cause) => {
      failure = new Error(howToGetIt, { cause });
    });
    child.once('exit', (code) => {
      running.delete(child);
      failure ??= new Error(`redis-server ended with status ${code}`);
    });
    const deadline = performance.now() + START_MS;
    while (!(await answers(connect))) {
      if (performance.now() > deadline) failure ??= new Error('redis-server does not respond');
      if (failure !== undefined) throw failure;
      await sleep(20);
    }
  };
  const stop = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> => {
    const child = server;
    server = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  };
  const close = async (): Promise<void> => {
    await stop('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  };

  try {
    await start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    port,
    get pid(): number {
      if (server?.pid === undefined) throw new Error('this Redis is stopped');
      return server.pid;
    },
    connect,
    stop,
    start,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Whether a server responds to the connections that `connect` opens. */
export async function answers(connect: (options: RedisOptions) => Redis): Promise<boolean> {
  const redis = connect({
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    retryStrategy: () => null,
  });
  redis.on('error', () => {
    // The rejection below reports the error.
  });
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}

function tlsLines(port: number, { caFile, certificateFile, keyFile }: Certificates): string[] {
  return [
    'port 0',
    `tls-port ${port}`,
    `tls-ca-cert-file ${caFile}`,
    `tls-cert-file ${certificateFile}`,
    `tls-key-file ${keyFile}`,
    'tls-auth-clients no',
    'tls-replication yes',
    'tls-cluster yes',
  ];
}
