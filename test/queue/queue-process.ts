import { pino } from 'pino';
import { BullQueue } from '../../src/queue/bull-queue.ts';
import { pushedTag } from '../../src/queue/tag-job.ts';
import { locationIn } from '../services/redis-kinds.ts';

/**
 * A separate process that uses a queue. With `hang`, it starts a job that never ends. With `once`, it adds a job, runs
 * it, and closes the queue. Then the process must end by itself.
 */
const [redisUrl, prefix, mode] = process.argv.slice(2);
if (redisUrl === undefined || prefix === undefined) throw new Error('usage: queue-process REDIS_URL PREFIX hang|once');

const queue = new BullQueue({
  redisLocation: locationIn(redisUrl, prefix),
  lockMs: 1_000,
  stalledCheckMs: 300,
  log: pino({ level: 'silent' }),
});
if (mode === 'hang') {
  queue.process(1, () => {
    process.send?.('started');
    return new Promise(() => {});
  });
} else {
  await new Promise<void>((resolve, reject) => {
    queue.process(1, async () => resolve());
    queue.add(pushedTag(1, 'v1.0.0', '')).catch(reject);
  });
  await queue.close();
  process.disconnect();
}
