import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import { startGitLab } from '../fake-gitlab/stand-in.ts';
import { play, startModpress, type Finale } from './story.ts';
import { Terminal } from './terminal.ts';

/**
 * Runs the demo: `npm run demo [-- --stay]`. It shows the main functions of modpress in a minute. It uses only this
 * machine, apart from one public module, and leaves nothing behind.
 */
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
      `The demo stopped early: ${messageOf(interruption.signal.aborted ? interruption.signal.reason : error)}`,
    );
    return interruption.signal.aborted ? 130 : 1;
  }
}

async function perform(terminal: Terminal, signal: AbortSignal, stay: boolean): Promise<void> {
  terminal.title('modpress: push a tag, get a module');
  await using gitlab = await startGitLab();
  await using temporaryRoot = await createFolder();
  const stage = { terminal, gitlab, folder: temporaryRoot.path, signal };
  terminal.step('Start a GitLab');
  terminal.note(
    `A stand-in for GitLab plays gitlab.example at ${gitlab.url}. It has real git repositories, the API and webhooks.`,
  );
  const { service, secret } = await startModpress(stage);
  await using running = service;
  const finale = await play(stage, running, secret);
  summarise(terminal, finale, stay);
  // With --stay, the user ends the demo by interrupting it.
  if (stay && !signal.aborted) await once(signal, 'abort');
}

function summarise(terminal: Terminal, finale: Finale, stay: boolean): void {
  const { modpressUrl, gitlabUrl, library, program, moduleCache, token, missing } = finale;
  terminal.step('Done. Building needed no git access, no SSH key and no .netrc');
  if (missing !== undefined) terminal.failure(`not shown: ${missing}`);
  terminal.note(`start page  ${modpressUrl}/`);
  terminal.note(`versions    ${modpressUrl}/gitlab.example/platform/hello/@v/list`);
  terminal.note(`metrics     ${modpressUrl}/-/metrics`);
  if (!stay) {
    terminal.note('Everything is now stopped and removed. To look around first, run: npm run demo -- --stay');
    return;
  }
  terminal.note(`GitLab      ${gitlabUrl}, with the token ${token}`);
  terminal.note('To continue in your own shell:');
  terminal.command(
    `export GOPROXY=${modpressUrl} GONOSUMDB='gitlab.example/*' GOMODCACHE=${moduleCache} GOFLAGS=-modcacherw`,
  );
  terminal.command(
    `cd ${library} && git commit --allow-empty -m 'Once more' && git tag v1.2.0 && git push origin main v1.2.0`,
  );
  terminal.command(`cd ${program} && go get gitlab.example/platform/hello@latest && go run .`);
  terminal.note('Ctrl-C stops everything and removes all files.');
}

/** Reports whether to stay at the end. If the arguments are wrong, prints a usage error and returns undefined. */
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
