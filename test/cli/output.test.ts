import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

test('modpress exits silently with status 141 if the reader of its output closes the pipe, as head does', async () => {
  const child = spawn(process.execPath, [MAIN, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  const [errors] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect([child.exitCode, errors]).toEqual([141, '']);
});

test('modpress fails with one line if its output cannot be written', async () => {
  const child = spawn(process.execPath, [MAIN, '--help'], { stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'] });
  if (!child.stderr) throw new Error('standard error is piped');
  const [errors] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect([child.exitCode, errors]).toEqual([
    1,
    'modpress: cannot write the output: ENOSPC: no space left on device, write\n',
  ]);
});

test('modpress exits with the same status if nobody reads its errors', async () => {
  const child = spawn(process.execPath, [MAIN, 'nonsense'], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.destroy();
  await once(child, 'close');
  expect(child.exitCode).toBe(2);
});
