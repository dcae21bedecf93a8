import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a text that `read` returns contains `part`, or passes this check. Unlike expect.poll, works in a hook. */
export async function until(read: () => Promise<unknown>, part: string | ((text: string) => boolean)): Promise<void> {
  const isDone = typeof part === 'string' ? (text: string) => text.includes(part) : part;
  const deadline = performance.now() + 30_000;
  for (;;) {
    const text = String(await read());
    if (isDone(text)) return;
    if (performance.now() > deadline) throw new Error(`gave up waiting; the last text is ${text}`);
    await sleep(20);
  }
}
