import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMinio, type Minio } from '../services/minio.ts';
import { startRedis, type RedisService } from '../services/redis.ts';
import { exampleVariables, modpressServices, readCompose } from './compose.ts';
import { execForm, readStages, type Stage } from './dockerfile.ts';

/**
 * Tests the image without Docker: runs the steps of the Dockerfile in folders, and the services of compose.yaml as
 * processes.
 */

const root = new URL('../../', import.meta.url);
const run = promisify(execFile);

let folder: string;
let image: Stage;
let minio: Minio;
let redis: RedisService;
let gitlab: Server;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-image-'));
  clearAfterwards(() => rm(folder, { recursive: true, force: true }));
  image = await buildImage();
  minio = await startMinio();
  clearAfterwards(() => minio.close());
  redis = await startRedis({ own: true });
  clearAfterwards(() => redis.close());
  gitlab = await startEmptyGitLab();
  clearAfterwards(() => void gitlab.close());
}, 300_000);

/** Cleans up after the tests in reverse order, even if the start failed midway. */
const clearing: (() => void | Promise<void>)[] = [];

function clearAfterwards(clear: () => void | Promise<void>): void {
  clearing.push(clear);
}

afterAll(async () => {
  for (const clear of clearing.toReversed()) await clear();
});

describe('the image', () => {
  it('has the code and its dependencies, and no tools for development', async () => {
    const packages = await readdir(join(folder, 'image/app/node_modules'));
    expect(packages).toContain('express');
    expect(packages).not.toContain('typescript');
    expect(packages).not.toContain('vitest');
    expect((await readdir(join(folder, 'image/app'))).toSorted()).toEqual([
      'LICENSE',
      'dist',
      'node_modules',
      'package.json',
      'sbom.cdx.json',
    ]);
  });

  it('lists its packages, with their versions', async () => {
    const { components } = JSON.parse(await readFile(join(folder, 'image/app/sbom.cdx.json'), 'utf8')) as {
      components: readonly { readonly name: string; readonly version: string }[];
    };
    const express = await readFile(join(folder, 'image/app/node_modules/express/package.json'), 'utf8');
    const { version } = JSON.parse(express) as { version: string };
    expect(components).toContainEqual(expect.objectContaining({ name: 'express', version }));
    expect(components.map(({ name }) => name)).not.toContain('typescript');
  });

  it('prints its version', async () => {
    const [command = '', ...args] = localEntrypoint();
    const { stdout } = await run(command, [...args, '--version']);
    expect(stdout).toMatch(/^[0-9]+\.[0-9]+\.[0-9]+\n$/);
  });

  it('ends with an error when settings are missing', async () => {
    const [command = '', ...args] = localEntrypoint();
    const failure: unknown = await run(command, [...args, ...execForm(image, 'CMD')], {
      env: { PATH: process.env['PATH'] },
    }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 2, stderr: expect.stringContaining('GITLAB_URL is missing') as string });
  });

  it.each(modpressServices(readCompose(exampleVariables()).services))(
    'runs as %s of compose.yaml, becomes healthy and ready, and stops on SIGTERM',
    async (name, service) => {
      const environment = await localEnvironment(service.environment);
      const [command = '', ...args] = [...localEntrypoint(), ...(service.command ?? execForm(image, 'CMD'))];
      const child = spawn(command, args, {
        env: environment,
        cwd: join(folder, 'image/app'),
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      try {
        const port = await portOf(child);
        const health = { ...environment, LISTEN: `:${port}` };
        expect(await statusOf(execForm(image, 'HEALTHCHECK'), health)).toBe(0);
        // Each service has a new bucket. Only a worker can create it.
        const ready = await fetch(`http://127.0.0.1:${port}/-/readyz`);
        const text = await ready.text();
        if (name === 'webhook' || name === 'proxy') expect(text).toContain('create');
        else expect([ready.status, text]).toEqual([200, 'ok\n']);

        child.kill(signalOf(image));
        expect(await once(child, 'exit')).toEqual([0, null]);
        expect(await statusOf(execForm(image, 'HEALTHCHECK'), health)).toBe(1);
      } finally {
        child.kill('SIGKILL');
      }
    },
    60_000,
  );
});

/** Carries out the stages, each in a folder that stands for the root of its file system; `image` is the last. */
async function buildImage(): Promise<Stage> {
  const stages = readStages(new URL('Dockerfile', root));
  const last = stages.at(-1);
  if (!last) throw new Error('the Dockerfile has no stage');
  for (const stage of stages) {
    const place = join(folder, stage.name ?? 'image');
    let workdir = place;
    await mkdir(place);
    for (const { keyword, text, flags } of stage.instructions) {
      if (keyword === 'WORKDIR') await mkdir((workdir = join(place, text)), { recursive: true });
      if (keyword === 'COPY') await copy(text.split(' '), flags.get('from'), workdir);
      // The last stage only creates the folder for the volume, which needs root and an absolute path.
      if (keyword === 'RUN' && stage !== last) await runStep(text, workdir);
    }
  }
  return last;
}

async function copy(words: readonly string[], from: string | undefined, workdir: string): Promise<void> {
  const sources = words.slice(0, -1);
  const target = words.at(-1) ?? '';
  for (const source of sources) {
    const path = from === undefined ? fileURLToPath(new URL(source, root)) : join(folder, from, source);
    const into = target.endsWith('/') ? join(workdir, target, source.split('/').at(-1) ?? '') : join(workdir, target);
    await cp(path, into, { recursive: true, verbatimSymlinks: true });
  }
}

async function runStep(command: string, workdir: string): Promise<void> {
  if (/^npm ci (?!.*--omit)/.test(command)) {
    // The checkout has this installation already: without it, no test could run.
    await symlink(fileURLToPath(new URL('node_modules', root)), join(workdir, 'node_modules'));
    return;
  }
  // npm's cache has the packages from the installation of the checkout.
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    npm_config_prefer_offline: 'true',
    npm_config_update_notifier: 'false',
  };
  await run('sh', ['-c', command], { cwd: workdir, env });
}

function localEntrypoint(): string[] {
  return execForm(image, 'ENTRYPOINT').map((word) => (word.startsWith('/') ? join(folder, 'image', word) : word));
}

/** The environment of a service with the local addresses of the other services. */
async function localEnvironment(environment: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const secrets = await mkdtemp(join(folder, 'secrets-'));
  await writeFile(join(secrets, 'gitlab_token'), 'token\n');
  await writeFile(join(secrets, 'webhook_token'), 'webhook\n');
  await writeFile(join(secrets, 'minio_password'), `${minio.secretKey}\n`);
  const replacements = [
    ['/run/secrets', secrets],
    ['http://minio:9000', minio.endpoint],
    ['redis://redis:6379', redis.url],
    ['https://gitlab.example.com', `http://127.0.0.1:${(gitlab.address() as AddressInfo).port}`],
    ['s3://modpress', `s3://${secrets.slice(-6).toLowerCase()}-modpress`],
  ] as const;
  const local = Object.entries(environment).map(([name, value]) => {
    const [there = '', here = ''] = replacements.find(([start]) => value.startsWith(start)) ?? [];
    return [name, value.replace(there, here)];
  });
  return {
    ...(Object.fromEntries(local) as Record<string, string>),
    PATH: process.env['PATH'] ?? '',
    LISTEN: '127.0.0.1:0',
  };
}

/** The port, from the log line of the start of the service. */
async function portOf(child: ChildProcess): Promise<number> {
  if (!child.stdout || !child.stderr) throw new Error('the process has no output');
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  for await (const line of createInterface(child.stdout)) {
    const { event, port } = JSON.parse(line) as { event?: string; port?: number };
    if (event === 'service.started' && port !== undefined) {
      child.stdout.resume();
      return port;
    }
  }
  throw new Error(`the process ended before it was ready: ${errors}`);
}

async function statusOf([command = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(command, args, { env, stdio: 'ignore' });
  const [status] = (await once(child, 'exit')) as [number];
  return status;
}

function signalOf(stage: Stage): NodeJS.Signals {
  return stage.instructions.find(({ keyword }) => keyword === 'STOPSIGNAL')?.text as NodeJS.Signals;
}

/** A GitLab with one project that has no tags, for services that have nothing to publish. */
async function startEmptyGitLab(): Promise<Server> {
  const project = { id: 1, path_with_namespace: 'group/empty', http_url_to_repo: 'http://127.0.0.1/group/empty.git' };
  const server = createServer(({ url = '' }, response) => {
    const body = url.includes('/version') ? { version: '19.0.1' } : url.includes('/projects?') ? [project] : [];
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
