import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import { startGitLab } from '../fake-gitlab/stand-in.ts';
import { play, startModpress, type Finale } from './story.ts';
import { Terminal } from './terminal.ts';

/** `npm run demo [-- --stay]`: the whole of modpress in a minute, on this machine alone, and nothing left behind. */
async function main(): Promise<number> {
  const stay = readArguments();
  if (stay === undefined) return 2;
  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => interruption.abort(new Error(`interrupted by ${name}`)));
  const terminal = new Terminal(process.stdout, process.env, interruption.signal);
  try {
    await perform(terminal, interruption.signal, stay);
    return 0;
  } catch (error) {
    terminal.failure(
      `The demo ends here: ${messageOf(interruption.signal.aborted ? interruption.signal.reason : error)}`,
    );
    return interruption.signal.aborted ? 130 : 1;
  }
}

async function perform(terminal: Terminal, signal: AbortSignal, stay: boolean): Promise<void> {
  terminal.title('modpress: push a tag, get a module');
  await using gitlab = await startGitLab();
  await using temporaryRoot = await createFolder();
  const stage = { terminal, gitlab, folder: temporaryRoot.path, signal };
  terminal.step('A GitLab');
  terminal.note(`The stand-in plays gitlab.example, on ${gitlab.url}: real repositories, the API and webhooks.`);
  const { service, secret } = await startModpress(stage);
  await using running = service;
  const finale = await play(stage, running, secret);
  summarise(terminal, finale, stay);
  // Interrupting is how this is meant to end.
  if (stay && !signal.aborted) await once(signal, 'abort');
}

function summarise(terminal: Terminal, finale: Finale, stay: boolean): void {
  const { modpressUrl, gitlabUrl, library, program, moduleCache, token, missing } = finale;
  terminal.step('That is all: no git, no SSH key and no .netrc for those who build');
  if (missing !== undefined) terminal.failure(`not shown: ${missing}`);
  terminal.note(`start page  ${modpressUrl}/`);
  terminal.note(`versions    ${modpressUrl}/gitlab.example/platform/hello/@v/list`);
  terminal.note(`metrics     ${modpressUrl}/-/metrics`);
  if (!stay) {
    terminal.note('All of it is stopped and removed now. To look around: npm run demo -- --stay');
    return;
  }
  terminal.note(`GitLab      ${gitlabUrl}, with the token ${token}`);
  terminal.note('To go on in a shell of your own:');
  terminal.command(
    `export GOPROXY=${modpressUrl} GONOSUMDB='gitlab.example/*' GOMODCACHE=${moduleCache} GOFLAGS=-modcacherw`,
  );
  terminal.command(
    `cd ${library} && git commit --allow-empty -m 'Once more' && git tag v1.2.0 && git push origin main v1.2.0`,
  );
  terminal.command(`cd ${program} && go get gitlab.example/platform/hello@latest && go run .`);
  terminal.note('Ctrl-C stops everything and removes it.');
}

/** Whether to stay; undefined after complaining about anything else. */
function readArguments(): boolean | undefined {
  try {
    return parseArgs({ options: { stay: { type: 'boolean', default: false } } }).values.stay;
  } catch (error) {
    process.stderr.write(`demo: ${messageOf(error)}\nUsage: npm run demo [-- --stay]\n`);
    return undefined;
  }
}

async function createFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'modpress-demo-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

process.exitCode = await main();
