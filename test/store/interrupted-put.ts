import { Readable } from 'node:stream';
import { setInterval } from 'node:timers/promises';
import { DiskStore } from '../../src/store/disk.ts';

/**
 * A program that never ends by itself. It begins to put an object, sends the first megabyte, prints `half`, and waits.
 */

const [folder = ''] = process.argv.slice(2);
const store = await DiskStore.open(folder);
const stream = Readable.from(
  (async function* () {
    yield Buffer.alloc(1024 * 1024);
    process.stdout.write('half\n');
    for await (const _ of setInterval(1000)) if (_ !== undefined) return;
  })(),
);
await store.put('crash/x', { stream });
