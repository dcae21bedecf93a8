import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Retry } from '../../src/errors.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { pushedTag, type TagJob } from '../../src/queue/tag-job.ts';
import type { QueueOptions } from '../../src/queue/job-failure.ts';

/** Opens a queue. Queues with the same `space` share their jobs if the implementation supports this. */
export type OpenQueue = (space: string, options: QueueOptions) => Queue;

/** Creates a promise, and the function that resolves it. */
export function deferred(): { promise: Promise<void>; resolve: () => void } {
  let settle: (() => void) | undefined;
  const promise = new Promise<void>((resolve) => {
    settle = resolve;
  });
  return { promise, resolve: () => settle?.() };
}

/** Creates a job with a unique tag, unless `parts` contains another tag. */
export function aJob(parts: Partial<TagJob> = {}): TagJob {
  return { ...pushedTag(7, `v1.0.0-${randomUUID()}`, 'a'.repeat(40)), ...parts };
}

/** The fields that differ between the job of a listed tag and the job of a pushed tag. */
const LISTED: Pick<TagJob, 'priority' | 'strategy' | 'cachedTag' | 'allowCachedProject'> = {
  priority: 'listed',
  strategy: 'shared tree',
  cachedTag: { commit: 'b'.repeat(40), committedAt: '2024-01-01T00:00:00.000Z', readAt: '2024-01-02T00:00:00.000Z' },
  allowCachedProject: true,
};

/** Tests the promises of every Queue. */
export function queueContract(open: OpenQueue): void {
  let logged: Record<string, unknown>[];
  let space: string;
  let opened: Queue[];

  beforeEach(() => {
    logged = [];
    space = randomUUID();
    opened = [];
  });
  afterEach(async () => {
    await Promise.all(opened.map((queue) => queue.close()));
  });

  const openQueue = (options: Partial<QueueOptions> = {}): Queue => {
    const log = pino({ level: 'trace' }, { write: (line) => logged.push(JSON.parse(line)) });
    const queue = open(space, { log, ...options });
    opened.push(queue);
    return queue;
  };

  it('runs a job with all its fields', async () => {
    const queue = openQueue();
    const job = { ...LISTED, projectId: 7, tag: 'sub/dir:x/v1.2.3-ü', hint: 'über:all/es@%' };
    const ran: TagJob[] = [];
    expect(await queue.add(job)).toBe('queued');
    expect(
      await queue.add(pushedTag(job.projectId, job.tag, job.hint)),
      'two jobs are equal if their project, tag and hint are equal',
    ).toBe('folded');
    queue.process(1, async (given) => void ran.push(given));
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([{ ...job, priority: 'pushed' }]);
  });

  it('runs a listed tag before other listed tags once it is pushed', async () => {
    const queue = openQueue();
    const names = ['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0'];
    for (const tag of names) await queue.add(aJob({ tag, ...LISTED }));
    expect(await queue.add(aJob({ tag: 'v1.2.0' }))).toBe('folded');
    expect(await queue.counts()).toMatchObject({ waiting: 4 });
    const ran: string[] = [];
    queue.process(1, async ({ tag }) => void ran.push(tag));
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual(['v1.2.0', 'v1.0.0', 'v1.1.0', 'v1.3.0']);
  });

  it('runs pushed tags first, and each kind in the order of arrival', async () => {
    const queue = openQueue();
    const names = ['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0', 'v1.4.0', 'v1.5.0'];
    for (const [index, tag] of names.entries()) await queue.add(aJob({ tag, ...(index % 2 === 0 && LISTED) }));
    const ran: string[] = [];
    queue.process(1, async ({ tag }) => void ran.push(tag));
    await expect
      .poll(() => ran, { timeout: 10_000 })
      .toEqual(['v1.1.0', 'v1.3.0', 'v1.5.0', 'v1.0.0', 'v1.2.0', 'v1.4.0']);
  });

  it('folds a job into an equal job that waits', async () => {
    const queue = openQueue();
    const job = aJob();
    expect(await queue.add(job)).toBe('queued');
    expect(await queue.add({ ...job })).toBe('folded');
    expect(await queue.counts()).toEqual({ waiting: 1, active: 0, delayed: 0 });
    const ran: TagJob[] = [];
    queue.process(4, async (given) => void ran.push(given));
    await idle(queue);
    expect(ran).toEqual([job]);
  });

  it('folds a job into an equal job that runs', async () => {
    const queue = openQueue();
    const job = aJob();
    const [started, finish] = [deferred(), deferred()];
    let runs = 0;
    queue.process(4, async () => {
      runs += 1;
      started.resolve();
      await finish.promise;
    });
    await queue.add(job);
    await started.promise;
    expect(await queue.add(job)).toBe('folded');
    expect(await queue.counts()).toEqual({ waiting: 0, active: 1, delayed: 0 });
    finish.resolve();
    await idle(queue);
    expect(runs).toBe(1);
  });

  it('folds a job into an equal job that is delayed', async () => {
    const queue = openQueue();
    const job = aJob();
    queue.process(4, async () => {
      throw new Retry('not yet', { afterMs: 60_000 });
    });
    await queue.add(job);
    await expect.poll(() => queue.counts(), { timeout: 10_000 }).toEqual({ waiting: 0, active: 0, delayed: 1 });
    expect(await queue.add(job)).toBe('folded');
    expect(await queue.counts()).toEqual({ waiting: 0, active: 0, delayed: 1 });
  });

  it('does not fold a job into an equal job that has finished', async () => {
    const queue = openQueue();
    const job = aJob();
    let runs = 0;
    queue.process(1, async () => void (runs += 1));
    await queue.add(job);
    await idle(queue);
    expect(await queue.add(job)).toBe('queued');
    await expect.poll(() => runs, { timeout: 10_000 }).toBe(2);
  });

  it('queues one of many equal jobs that are added at once', async () => {
    const queue = openQueue();
    const job = aJob();
    const added = await Promise.all(Array.from({ length: 50 }, () => queue.add(job)));
    expect(added.filter((result) => result === 'queued')).toHaveLength(1);
    expect((await queue.counts()).waiting).toBe(1);
  });

  it('runs jobs separately if they differ in project, tag or hint', async () => {
    const queue = openQueue();
    const jobs: TagJob[] = [
      pushedTag(1, 'v1', 'a'),
      pushedTag(2, 'v1', 'a'),
      pushedTag(1, 'V1', 'a'),
      pushedTag(1, 'v1', 'A'),
      pushedTag(1, 'v1@a', ''),
      pushedTag(1, 'v1', '@a'),
      pushedTag(1, 'v1%40a', ''),
      pushedTag(1, 'v1:a', ''),
      pushedTag(1, 'v1/a', ''),
    ];
    for (const job of jobs) expect(await queue.add(job)).toBe('queued');
    const ran: TagJob[] = [];
    queue.process(3, async (job) => void ran.push(job));
    await idle(queue);
    expect(new Set(ran.map((job) => JSON.stringify(job)))).toEqual(new Set(jobs.map((job) => JSON.stringify(job))));
  });

  it('runs jobs concurrently, up to the limit', async () => {
    const queue = openQueue();
    const finish = deferred();
    let [running, maxRunning] = [0, 0];
    queue.process(3, async () => {
      running += 1;
      maxRunning = Math.max(maxRunning, running);
      await finish.promise;
      running -= 1;
    });
    for (let projectId = 1; projectId <= 10; projectId++) await queue.add(aJob({ projectId }));
    await expect.poll(() => queue.counts(), { timeout: 10_000 }).toEqual({ waiting: 7, active: 3, delayed: 0 });
    finish.resolve();
    await idle(queue);
    expect(maxRunning).toBe(3);
  });

  it('lets projects take turns, and runs what a person pushed before a push of many tags', async () => {
    const queue = openQueue();
    const projects = [1, 1, 1, 1, 1, 1, 2, 2, 2, 3];
    for (const [index, projectId] of projects.entries()) await queue.add(aJob({ projectId, tag: `v0.${index}.0` }));
    const ran: number[] = [];
    queue.process(1, async ({ projectId }) => void ran.push(projectId));
    await idle(queue);
    expect(new Set(ran.slice(0, 3))).toEqual(new Set([1, 2, 3]));
    expect(ran.slice(3, 7).filter((projectId) => projectId === 2)).toHaveLength(2);
    expect(ran.slice(7)).toEqual([1, 1, 1]);
  });

  it.each(['pushed', 'listed'] as const)('lets no project use all slots with %s tags', async (priority) => {
    const queue = openQueue();
    const finish = deferred();
    const ran: number[] = [];
    queue.process(3, async ({ projectId }) => {
      ran.push(projectId);
      if (projectId === 1) await finish.promise;
    });
    for (let count = 0; count < 10; count++) await queue.add(aJob({ projectId: 1, priority }));
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([1, 1]);
    await queue.add(aJob({ projectId: 2, priority }));
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([1, 1, 2]);
    finish.resolve();
    await idle(queue);
    expect(ran).toHaveLength(11);
  });

  it('never runs two jobs of one tag at the same time, and these jobs do not delay other tags', async () => {
    const queue = openQueue();
    const tag = `v1.0.0-${randomUUID()}`;
    const [finishTag, finishOther] = [deferred(), deferred()];
    const running: string[] = [];
    let overlaps = 0;
    queue.process(4, async (job) => {
      if (job.tag === tag && running.includes(tag)) overlaps += 1;
      running.push(job.tag);
      await (job.tag === tag ? finishTag.promise : finishOther.promise);
      running.splice(running.indexOf(job.tag), 1);
    });
    for (const hint of ['first', 'second', 'third']) await queue.add(aJob({ tag, hint }));
    await queue.add(aJob());
    await expect.poll(() => running.filter((name) => name !== tag), { timeout: 10_000 }).toHaveLength(1);
    // A queue may try the other jobs of the tag and delay them, or may let them wait.
    const pending = async (): Promise<number> => {
      const { active, waiting, delayed } = await queue.counts();
      return active === 2 ? waiting + delayed : 0;
    };
    await expect.poll(pending, { timeout: 10_000 }).toBe(2);
    finishTag.resolve();
    finishOther.resolve();
    await idle(queue);
    expect(overlaps).toBe(0);
  });

  it('runs jobs of equal tags in different projects concurrently', async () => {
    const queue = openQueue();
    const finish = deferred();
    queue.process(2, () => finish.promise);
    await queue.add(pushedTag(1, 'v1.0.0', ''));
    await queue.add(pushedTag(2, 'v1.0.0', ''));
    await expect.poll(async () => (await queue.counts()).active, { timeout: 10_000 }).toBe(2);
    finish.resolve();
  });

  it('runs a job again after the time that the handler requests', async () => {
    const queue = openQueue({ backoff: { firstMs: 1, maxMs: 1 } });
    const starts: number[] = [];
    queue.process(1, async () => {
      starts.push(Date.now());
      if (starts.length === 1) throw new Retry('rate limit', { afterMs: 400 });
    });
    await queue.add(aJob());
    await expect.poll(() => starts.length, { timeout: 10_000 }).toBe(2);
    const [first = 0, second = 0] = starts;
    expect(second - first).toBeGreaterThanOrEqual(400);
    expect(second - first).toBeLessThan(3_000);
  });

  it('doubles the backoff after each failure, up to the maximum', async () => {
    const seen: { attempt: number; delayMs: number }[] = [];
    const job = aJob();
    const queue = openQueue({
      backoff: { firstMs: 20, maxMs: 160 },
      onFailure: (given, error, attempt, delayMs) => {
        expect(given).toEqual(job);
        expect(error).toBeInstanceOf(Retry);
        seen.push({ attempt, delayMs });
      },
    });
    queue.process(1, async () => {
      if (seen.length < 6) throw new Retry('an outage');
    });
    await queue.add(job);
    await idle(queue);
    expect(seen.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6]);
    for (const [index, backoffMs] of [20, 40, 80, 160, 160, 160].entries()) {
      expect(seen[index]?.delayMs).toBeGreaterThanOrEqual(backoffMs * 0.75);
      expect(seen[index]?.delayMs).toBeLessThanOrEqual(backoffMs);
    }
  });

  it('retries without a limit on attempts', async () => {
    const queue = openQueue({ backoff: { firstMs: 1, maxMs: 2 } });
    let runs = 0;
    queue.process(1, async () => {
      runs += 1;
      if (runs <= 60) throw new Retry('an outage');
    });
    await queue.add(aJob());
    await expect.poll(() => runs, { timeout: 20_000 }).toBe(61);
    await idle(queue);
  });

  it('retries after an unexpected error too, and logs the error with its stack', async () => {
    const queue = openQueue({ backoff: { firstMs: 1, maxMs: 1 } });
    let runs = 0;
    queue.process(1, async () => {
      runs += 1;
      if (runs === 1) throw new TypeError('a bug of ours');
    });
    await queue.add(aJob());
    await expect.poll(() => runs, { timeout: 10_000 }).toBe(2);
    const errors = logged.filter((line) => line['level'] === 50);
    expect(errors).toHaveLength(1);
    expect(errors[0]?.['err']).toMatchObject({ type: 'TypeError', stack: expect.stringContaining('contract.ts') });
  });

  it('retries if the handler throws synchronously, or throws a value that is not an Error', async () => {
    const queue = openQueue({ backoff: { firstMs: 1, maxMs: 1 } });
    let runs = 0;
    queue.process(1, () => {
      runs += 1;
      // eslint-disable-next-line typescript/only-throw-error -- the test needs such a value
      if (runs === 1) throw 'a string';
      if (runs === 2) throw new Error('at once');
      return Promise.resolve();
    });
    await queue.add(aJob());
    await expect.poll(() => runs, { timeout: 10_000 }).toBe(3);
  });

  it('retries even if onFailure throws', async () => {
    const queue = openQueue({
      backoff: { firstMs: 1, maxMs: 1 },
      onFailure: () => {
        throw new Error('no metrics today');
      },
    });
    let runs = 0;
    queue.process(1, async () => {
      runs += 1;
      if (runs === 1) throw new Retry('an outage');
    });
    await queue.add(aJob());
    await expect.poll(() => runs, { timeout: 10_000 }).toBe(2);
  });

  it('runs other jobs while one is delayed', async () => {
    const queue = openQueue();
    const [bad, good] = [aJob(), aJob()];
    const ran: string[] = [];
    queue.process(1, async (job) => {
      if (job.tag === bad.tag) throw new Retry('an outage', { afterMs: 60_000 });
      ran.push(job.tag);
    });
    await queue.add(bad);
    await queue.add(good);
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([good.tag]);
  });

  it('folds a repeated delivery, even after its job has finished', async () => {
    const queue = openQueue();
    const [job, delivery] = [aJob(), randomUUID()];
    let runs = 0;
    queue.process(1, async () => void (runs += 1));
    expect(await queue.add(job, delivery)).toBe('queued');
    await idle(queue);
    expect(await queue.add(job, delivery)).toBe('folded');
    expect(await queue.add(job, randomUUID())).toBe('queued');
    await idle(queue);
    expect(runs).toBe(2);
  });

  it('records a delivery even if its job was folded', async () => {
    const queue = openQueue();
    const [job, delivery] = [aJob(), randomUUID()];
    await queue.add(job);
    expect(await queue.add(job, delivery)).toBe('folded');
    queue.process(1, async () => {});
    await idle(queue);
    expect(await queue.add(job, delivery)).toBe('folded');
  });

  it('closes after the running job has finished, and starts no other job', async () => {
    const queue = openQueue();
    const [started, finish] = [deferred(), deferred()];
    const ran: string[] = [];
    queue.process(1, async (job) => {
      started.resolve();
      await finish.promise;
      ran.push(job.tag);
    });
    const [first, second] = [aJob(), aJob()];
    await queue.add(first);
    await queue.add(second);
    await started.promise;
    let closed = false;
    const close = async (): Promise<void> => {
      await queue.close();
      closed = true;
    };
    const closing = close();
    await expect(queue.add(aJob())).rejects.toThrow(/closed/);
    await expect(queue.check()).rejects.toThrow(/closed/);
    expect(closed).toBe(false);
    finish.resolve();
    await closing;
    expect(ran).toEqual([first.tag]);
  });

  it('closes at once if no job runs, even if no job ever ran', async () => {
    const [sink, worker] = [openQueue(), openQueue()];
    worker.process(2, async () => {});
    await sink.check();
    const start = Date.now();
    await Promise.all([sink.close(), worker.close()]);
    expect(Date.now() - start).toBeLessThan(3_000);
  });

  it('loses none of five thousand jobs, and runs each of them once', { timeout: 60_000 }, async () => {
    const queue = openQueue({ backoff: { firstMs: 1, maxMs: 1 } });
    const tags = new Set(Array.from({ length: 5_000 }, (_, index) => `v0.0.${index}`));
    const done = new Map<string, number>();
    const failedOnce = new Set<string>();
    queue.process(50, async (job) => {
      if (job.tag.endsWith('77') && !failedOnce.has(job.tag)) {
        failedOnce.add(job.tag);
        throw new Retry('an outage');
      }
      done.set(job.tag, (done.get(job.tag) ?? 0) + 1);
    });
    await Promise.all([...tags].map((tag) => queue.add(aJob({ tag }))));
    await expect.poll(() => done.size, { timeout: 50_000, interval: 100 }).toBe(5_000);
    await idle(queue);
    expect(failedOnce.size).toBe(50);
    expect([...done.values()].every((runs) => runs === 1)).toBe(true);
    expect(new Set(done.keys())).toEqual(tags);
  });
}

/** Waits until the queue contains no job. */
export async function idle(queue: Queue): Promise<void> {
  await expect.poll(() => queue.counts(), { timeout: 20_000 }).toEqual({ waiting: 0, active: 0, delayed: 0 });
}
