import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

test('who reads only the beginning, as head does, ends the command without a word', async () => {
  const child = spawn(process.execPath, [MAIN, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  const [complaints] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect([child.exitCode, complaints]).toEqual([141, '']);
});

test('output that cannot be written is a failure, in one line', async () => {
  const child = spawn(process.execPath, [MAIN, '--help'], { stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'] });
  if (!child.stderr) throw new Error('standard error is piped');
  const [complaints] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect([child.exitCode, complaints]).toEqual([
    1,
    'modpress: the output cannot be written: ENOSPC: no space left on device, write\n',
  ]);
});

test('without a reader of what it complains of, a command ends as it would', async () => {
  const child = spawn(process.execPath, [MAIN, 'nonsense'], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.destroy();
  await once(child, 'close');
  expect(child.exitCode).toBe(2);
});
