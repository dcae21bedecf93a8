// Installs the dependencies of a fresh clone, and builds it. It skips the installation if it is up to date. It is plain
// JavaScript, because nothing is installed yet when it starts.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

requireNode(20, 19);
requireCommand('git', ['--version'], 'https://git-scm.com');
requireCommand('go', ['version'], 'https://go.dev/dl');

if (!isNewer('node_modules/.package-lock.json', 'package-lock.json')) {
  step('Installing dependencies (npm ci)');
  run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts']);
}
step('Building (npm run build)');
run('npm', ['run', '--silent', 'build']);

/** Reports whether `made` exists and is at least as new as its source `from`. */
function isNewer(made, from) {
  const [madePath, fromPath] = [made, from].map((path) => `${root}/${path}`);
  return existsSync(madePath) && statSync(madePath).mtimeMs >= statSync(fromPath).mtimeMs;
}

function requireNode(major, minor) {
  const [, actualMajor, actualMinor] = /^v(\d+)\.(\d+)/.exec(process.version).map(Number);
  if (actualMajor > major || (actualMajor === major && actualMinor >= minor)) return;
  fail(`node ${major}.${minor} or newer is needed, this is ${process.version}: see https://nodejs.org`);
}

function requireCommand(name, args, where) {
  if (spawnSync(name, args, { stdio: 'ignore' }).status !== 0)
    fail(`${name} is needed and was not found: see ${where}`);
}

function run(command, args) {
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status !== 0) fail(`${command} ${args.join(' ')} failed`);
}

function step(text) {
  process.stdout.write(`${text}\n`);
}

function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
