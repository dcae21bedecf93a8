import { ReadableStream } from 'node:stream/web';
import { withTimeout } from '../async/with-timeout.ts';

/** The slowest rate at which a server may send a body: so many bytes in so many milliseconds. */
export interface MinimumRate {
  readonly bytes: number;
  readonly windowMs: number;
}

/** A server sends a body more slowly than allowed. */
export class BodyTooSlow extends Error {
  override readonly name = 'BodyTooSlow';
}

/**
 * Returns a stream of the chunks. It fails with BodyTooSlow, and calls `cancel`, once the reader has waited for
 * `windowMs` in which fewer than `bytes` bytes arrived. A timeout between two chunks alone would not end a body that
 * arrives byte by byte. Only the time in which the reader waits counts, so a slow reader does not cause the failure.
 *
 * The stream reads a chunk only when its own reader asks for one. It calls `cancel` when its reader cancels it too.
 */
export function atMinimumRate(
  chunks: AsyncIterator<Uint8Array>,
  { bytes, windowMs }: MinimumRate,
  cancel: () => void,
): ReadableStream<Uint8Array> {
  let arrived = 0;
  let waitedMs = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const startedAt = performance.now();
        const { done, value } = await withTimeout(windowMs - waitedMs, chunks.next(), () => {
          cancel();
          return new BodyTooSlow(`fewer than ${bytes} bytes arrived within ${windowMs / 1000} s`);
        });
        waitedMs += performance.now() - startedAt;
        if (done === true) {
          controller.close();
          return;
        }
        arrived += value.length;
        if (arrived >= bytes) arrived = waitedMs = 0;
        controller.enqueue(value);
      },
      cancel,
    },
    { highWaterMark: 0 },
  );
}
