import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** The source of a hook that writes the URL of each loaded module to standard error. */
const TRACER = `export const load = (url, context, next) => { process._rawDebug(url); return next(url, context); };`;
const REGISTER = `import { register } from 'node:module'; register(${JSON.stringify(dataUrl(TRACER))});`;

test.each([
  ['serve', '--help'],
  ['backfill', '--help'],
  ['verify', '--help'],
  ['withdraw', '--help'],
  ['hooks', '--help'],
  ['--help'],
  ['--version'],
])('modpress %s %s loads no library, so that it prints at once', async (...args) => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    '--import',
    dataUrl(REGISTER),
    MAIN,
    ...args,
  ]);
  expect(stdout).not.toBe('');
  const loaded = stderr.split('\n').filter((line) => line.startsWith('file:'));
  expect(loaded).toContainEqual(expect.stringContaining('/dist/main.js'));
  expect(loaded.filter((url) => url.includes('/node_modules/'))).toEqual([]);
});

function dataUrl(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`;
}
