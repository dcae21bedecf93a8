import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startService, type Service } from '../e2e/service.ts';
import { call } from '../fake-gitlab/api-client.ts';
import { downloadDirect } from '../fake-gitlab/direct-mode.ts';
import { gitEnvironment } from '../fake-gitlab/git.ts';
import type { StandIn } from '../fake-gitlab/stand-in.ts';
import { goEnv } from '../proxy/go.ts';
import type { Terminal } from './terminal.ts';

/**
 * The host name of the stand-in for GitLab in module paths. A module path cannot contain a port, so the real address
 * cannot be used.
 */
const HOST = 'gitlab.example';
const LIBRARY = `${HOST}/platform/hello`;
const EXTERNAL = 'rsc.io/quote';
/** The timeout for fetching the public module. */
const PUBLIC_MODULE_TIMEOUT_MS = 30_000;
/** The timeout for publishing a version. */
const PUBLISH_TIMEOUT_MS = 20_000;

/** The objects that all steps of the demo share. */
export interface Stage {
  readonly terminal: Terminal;
  readonly gitlab: StandIn;
  /** A folder that is removed at the end. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** The results of the demo: addresses, folders, the developer's token, and what could not be shown. */
export interface Finale {
  readonly modpressUrl: string;
  readonly gitlabUrl: string;
  readonly library: string;
  readonly program: string;
  readonly moduleCache: string;
  /** The token of the developer, which can push. */
  readonly token: string;
  /** The reason why the public module is missing, or undefined if it is not missing. */
  readonly missing: string | undefined;
}

/** Starts modpress as users start it, with settings that keep all files in the folder of the demo. */
export async function startModpress({
  terminal,
  gitlab,
  folder,
}: Stage): Promise<{ service: Service; secret: string }> {
  const secret = randomBytes(20).toString('hex');
  const upstream = await goEnv('GOPROXY');
  const token = gitlab.createToken({ scopes: ['read_api'], role: 'reporter' });
  const temporaryRoot = join(folder, 'temporary');
  await mkdir(temporaryRoot);
  const settings = {
    GITLAB_URL: gitlab.url,
    GITLAB_TOKEN: token,
    MODULE_PREFIX: HOST,
    WEBHOOK_TOKEN: secret,
    ACCESS: 'open',
    STORE: `file:${join(folder, 'data')}`,
    LISTEN: '127.0.0.1:0',
  };
  terminal.step('Start modpress with its defaults: one process, the queue in memory, the modules on disk');
  const shown = {
    ...settings,
    GITLAB_TOKEN: shortened(token),
    WEBHOOK_TOKEN: shortened(secret),
    UPSTREAM: '"$(go env GOPROXY)"',
  };
  terminal.command(
    ['env', ...Object.entries(shown).map(([name, value]) => `${name}=${value}`), 'node dist/main.js serve'].join(
      ' \\\n    ',
    ),
  );
  const service = await startService({ ...settings, UPSTREAM: upstream, TMPDIR: temporaryRoot });
  await service.logged('sweep.finished');
  terminal.success(`ready on ${service.url}`);
  terminal.note('Its GitLab token can only read. Public modules come from the GOPROXY of this machine.');
  return { service, secret };
}

/**
 * Runs all steps after the start of modpress. They publish two versions of a library. They build a program with each
 * version, and with a commit that has no tag.
 */
export async function play(stage: Stage, service: Service, secret: string): Promise<Finale> {
  const { terminal, gitlab, folder } = stage;
  const token = gitlab.rootToken;
  const environment: NodeJS.ProcessEnv = {
    ...gitEnvironment(),
    MY_TOKEN: token,
    // The build cache and the checksum database come from the Go settings of this machine. All other settings are
    // fixed.
    ...(await goSettings(folder)),
  };
  const [library, program] = await createProjects(stage);
  const inFolder = { folder, environment };
  const inLibrary = { folder: join(folder, 'hello'), environment };
  await addWebhook(stage, service, secret);

  terminal.step('Write a library and push it');
  const origin = gitlab.url.replace('http://', 'http://oauth2:$MY_TOKEN@');
  await terminal.run(`cd ${folder} && git clone --quiet ${origin}/platform/hello.git && cd hello`, inFolder);
  await terminal.run(file('go.mod', `module ${LIBRARY}\n\ngo 1.21\n`), inLibrary);
  await terminal.run(file('hello.go', greeting('Hello from v1.0.0')), inLibrary);
  await terminal.run(
    "git add --all && git commit --quiet --message 'A greeting' && git push --quiet origin main",
    inLibrary,
  );

  terminal.step('Push a tag …');
  const first = await publish(stage, service, 'v1.0.0', inLibrary);

  terminal.step('… get a module: a program uses the library, and a public module too');
  const settings = { GOPROXY: service.url, GONOSUMDB: `${HOST}/*`, GOMODCACHE: join(folder, 'module-cache') };
  terminal.command(
    `export ${Object.entries(settings)
      .map(([name, value]) => `${name}='${value}'`)
      .join(' ')}`,
  );
  const developer = { ...environment, ...settings };
  await terminal.run(`cd ${folder} && git clone --quiet ${origin}/platform/greeter.git && cd greeter`, {
    folder,
    environment: developer,
  });
  const inProgram = { folder: join(folder, 'greeter'), environment: developer };
  await terminal.run(`go mod init ${HOST}/platform/greeter`, inProgram);
  await terminal.run(`go get ${LIBRARY}@v1.0.0`, inProgram);
  const outside = await terminal.attempt(`go get ${EXTERNAL}@v1.5.2`, {
    ...inProgram,
    timeoutMs: PUBLIC_MODULE_TIMEOUT_MS,
  });
  const missing = outside.ok
    ? undefined
    : `${EXTERNAL} could not be fetched. modpress requests public modules from the GOPROXY of this machine, and this request failed.`;
  if (missing !== undefined)
    terminal.failure(`${missing}\nThe demo continues without it, because private modules do not need the internet.`);
  await terminal.run(file('main.go', greeter(outside.ok)), inProgram);
  await expectOutput(terminal, inProgram, 'Hello from v1.0.0', outside.ok);

  terminal.step('Release a new version');
  await terminal.run(file('hello.go', greeting('Hello again, from v1.1.0')), inLibrary);
  await terminal.run(
    "git commit --quiet --all --message 'A better greeting' && git push --quiet origin main",
    inLibrary,
  );
  const second = await publish(stage, service, 'v1.1.0', inLibrary);
  await terminal.run(`go get ${LIBRARY}@latest`, inProgram);
  await expectOutput(terminal, inProgram, 'Hello again, from v1.1.0', outside.ok);
  await terminal.run(`go list -m -versions ${LIBRARY}`, inProgram);

  terminal.step('No tag yet? A branch or a commit works too');
  await terminal.run(file('hello.go', greeting('Hello from a branch')), inLibrary);
  await terminal.run("git commit --quiet --all --message 'Not released' && git push --quiet origin main", inLibrary);
  await terminal.run(`go get ${LIBRARY}@main`, inProgram);
  await expectOutput(terminal, inProgram, 'Hello from a branch', outside.ok);

  await proveChecksums(stage, { 'v1.0.0': first, 'v1.1.0': second });
  return {
    modpressUrl: service.url,
    gitlabUrl: gitlab.url,
    library,
    program,
    moduleCache: settings.GOMODCACHE,
    token,
    missing,
  };
}

async function createProjects({ gitlab, terminal, folder }: Stage): Promise<[string, string]> {
  terminal.step('Create a group with two projects, and a webhook that reports new tags to modpress');
  for (const name of ['hello', 'greeter']) {
    const project = await gitlab.createProject(`platform/${name}`);
    terminal.note(`${HOST}/${project.path}: ${project.httpUrl}`);
  }
  return [join(folder, 'hello'), join(folder, 'greeter')];
}

async function addWebhook({ gitlab, terminal }: Stage, service: Service, secret: string): Promise<void> {
  const path = '/groups/platform/hooks';
  const url = `${service.url}/-/webhook`;
  terminal.command(
    [
      `curl --header "PRIVATE-TOKEN: $MY_TOKEN" ${gitlab.url}/api/v4${path}`,
      `--data url=${url} --data token=${shortened(secret)}`,
      '--data tag_push_events=true --data push_events=false',
    ].join(' \\\n    '),
  );
  // The demo sends this request itself, because not every machine has curl.
  const answer = await call(gitlab, path, {
    method: 'POST',
    body: { url, token: secret, tag_push_events: true, push_events: false },
  });
  if (answer.status !== 201)
    throw new Error(`GitLab returned ${answer.status} to the request for a webhook: ${answer.bytes.toString()}`);
  const { id } = answer.json as { id: number };
  terminal.output(`201 Created: webhook ${id} of the group`);
}

/** Pushes a tag, and measures the time until the version is available. Resolves to the checksum of the version. */
async function publish(
  stage: Stage,
  service: Service,
  version: string,
  place: { folder: string; environment: NodeJS.ProcessEnv },
): Promise<string> {
  const { terminal, gitlab } = stage;
  const [availableAt] = await Promise.all([
    available(stage, `${service.url}/${LIBRARY}/@v/${version}.info`),
    terminal.run(`git tag ${version} && git push origin ${version}`, place),
  ]);
  const [published] = await Promise.all([service.logged('tag.published', { version }), gitlab.settled()]);
  const delivery = gitlab.deliveries.find(({ body }) => body.includes(`"refs/tags/${version}"`));
  if (delivery === undefined) throw new Error(`${version} was not published by the webhook`);
  terminal.success(`published ${LIBRARY}@${version}, ${String(published['h1'])}`);
  terminal.success(`push → available in ${availableAt - delivery.at.getTime()} ms`);
  return String(published['h1']);
}

/**
 * Waits until a URL responds with 200. Resolves to the time, in ms since the epoch. Throws after PUBLISH_TIMEOUT_MS.
 */
async function available({ signal }: Stage, url: string): Promise<number> {
  const deadline = Date.now() + PUBLISH_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const response = await fetch(url, { signal });
    await response.body?.cancel();
    if (response.ok) return Date.now();
    await delay(5, undefined, { signal });
  }
  throw new Error(`${url} was not available after ${PUBLISH_TIMEOUT_MS / 1000} s`);
}

async function expectOutput(
  terminal: Terminal,
  place: { folder: string; environment: NodeJS.ProcessEnv },
  words: string,
  external: boolean,
): Promise<void> {
  const output = await terminal.run('go run .', place);
  if (!output.includes(words)) throw new Error(`the program does not print "${words}"`);
  if (external && !output.includes('communicate by sharing memory'))
    throw new Error(`the program does not print the text of ${EXTERNAL}`);
}

/** Compares the checksums with the checksums that the go command computes from the repository without modpress. */
async function proveChecksums({ terminal, gitlab }: Stage, sums: Readonly<Record<string, string>>): Promise<void> {
  terminal.step('Compare: without modpress, directly from git, the go command computes the same checksums');
  const queries = Object.keys(sums).map((version) => `${LIBRARY}@${version}`);
  terminal.command(`GOPROXY=direct go mod download -json ${queries.join(' ')}`);
  await using direct = await downloadDirect(gitlab, HOST, ...queries);
  for (const { Version: version, Sum: sum = 'none', Error: reason } of direct.modules) {
    if (sum !== sums[version])
      throw new Error(
        `in direct mode, the checksum of ${version} is ${sum}${reason === undefined ? '' : ` (${reason})`}`,
      );
    terminal.success(`${LIBRARY}@${version}, ${sum}: the same`);
  }
}

async function goSettings(folder: string): Promise<NodeJS.ProcessEnv> {
  const [cache, sumdb] = await Promise.all([goEnv('GOCACHE'), goEnv('GOSUMDB')]);
  return {
    HOME: devNull,
    GOENV: 'off',
    GOCACHE: cache,
    GOSUMDB: sumdb,
    GOPATH: join(folder, 'go'),
    // A killed go command leaves temporary files in this folder.
    TMPDIR: join(folder, 'temporary'),
    GOPRIVATE: '',
    GONOPROXY: '',
    GOTOOLCHAIN: 'local',
    GOTELEMETRY: 'off',
    GOWORK: 'off',
    GO111MODULE: 'on',
    // Without this flag, the files of the module cache could not be removed at the end.
    GOFLAGS: '-modcacherw',
    // The go command must not access repositories directly.
    GOVCS: '*:off',
  };
}

function file(name: string, content: string): string {
  return `cat > ${name} <<'END'\n${content}END`;
}

function greeting(words: string): string {
  return `package hello\n\n// Greeting returns kind words.\nfunc Greeting() string { return "${words}" }\n`;
}

function greeter(external: boolean): string {
  const imports = ['"fmt"', '', `"${LIBRARY}"`, ...(external ? [`"${EXTERNAL}"`] : [])].map(
    (line) => line && `\t${line}`,
  );
  const body = ['hello.Greeting()', ...(external ? ['quote.Go()'] : [])].map((value) => `\tfmt.Println(${value})`);
  return `package main\n\nimport (\n${imports.join('\n')}\n)\n\nfunc main() {\n${body.join('\n')}\n}\n`;
}

/** Returns the first characters of a secret, which are enough to recognise it. */
function shortened(secret: string): string {
  return `${secret.slice(0, 8)}…`;
}
