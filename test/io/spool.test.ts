import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { Spool } from '../../src/io/spool.ts';

test('a reader that fails while nobody listens does not end the process', async () => {
  const spool = await Spool.create(tmpdir());
  const reader = spool.reader();
  const closed = new Promise<void>((resolve) => void reader.once('close', resolve));
  // A client that has just left has made the reader wait for the next bytes.
  reader.read();
  spool.fail(new Error('the download failed'));
  await closed;
  expect(reader.errored).toMatchObject({ message: 'the download failed' });
  await spool.release();
});
