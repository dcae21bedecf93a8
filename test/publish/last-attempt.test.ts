import { pino } from 'pino';
import { describe, expect } from 'vitest';
import { Retry } from '../../src/errors.ts';
import { TemporaryDiskFull } from '../../src/io/temporary-folder.ts';
import type { Publisher, PublishResult } from '../../src/publish/publisher.ts';
import { createTagHandler } from '../../src/publish/tag-handler.ts';
import { pushedTag, type TagJob } from '../../src/queue/tag-job.ts';
import { StoreUnavailable, type Store } from '../../src/store/store.ts';
import { ServiceLog } from '../e2e/service-log.ts';
import { test as base } from './fixtures.ts';

type Handler = (job: TagJob) => Promise<PublishResult>;

/** More attempts than any tag gets, if they count. */
const MANY = 30;

const test = base
  .extend('log', () => new ServiceLog())
  /** Creates the handler of the worker for a publisher. */
  .extend('createHandler', ({ log }) => (publisher: Publisher): Handler => {
    return createTagHandler({
      publisher,
      log: pino({ level: 'debug' }, { write: (line) => log.add(line) }),
      onDone: () => undefined,
      onChanged: async () => undefined,
    });
  })
  /** Pushes a module with the tags `bad` and `good`. */
  .extend('pushTags', ({ createRepository }) => async () => {
    const { project, tree, module } = await createRepository();
    await tree.write({ 'go.mod': `module ${module}\n` }).commit('First');
    await tree.tag(['v1.0.0', ...Array.from({ length: MANY }, (_, index) => `v1.1.${index}`)]);
    await tree.push();
    return { id: project.id, commit: tree.head() };
  });

test.afterEach(({ gitlab }) => gitlab.faults.clear());

/** Runs a job until it has an outcome, at most MANY times. Between two attempts, calls `between`. */
async function attempt(
  handler: Handler,
  job: TagJob,
  between: (attempt: number) => Promise<unknown> = async () => undefined,
): Promise<{ readonly attempts: number; readonly result: PublishResult | undefined }> {
  for (let attempts = 1; attempts <= MANY; attempts++) {
    const result = await handler(job).catch(() => undefined);
    if (result) return { attempts, result };
    await between(attempts);
  }
  return { attempts: MANY, result: undefined };
}

describe('a tag that fails again and again', () => {
  test('because of a bug is refused after the last attempt, and a person is told', async ({
    createPublishing,
    createHandler,
    log,
    pushTags,
  }) => {
    const { id, commit } = await pushTags();
    const { publisher } = await createPublishing({
      lock: () => {
        throw new RangeError('this is a bug');
      },
    });
    const handler = createHandler(publisher);
    const job = pushedTag(id, 'v1.0.0', commit);
    const { attempts, result } = await attempt(handler, job);
    expect(attempts).toBe(20);
    expect(result).toMatchObject({
      outcome: {
        status: 'refused',
        commit,
        reason: expect.stringMatching(/gave up.*this is a bug.*delete the outcome/),
      },
    });
    expect(log.lines.filter(({ level }) => level === 50).map(({ event }) => event)).toEqual([
      'tag.given-up',
      'tag.refused',
    ]);
    expect(log.lines.find(({ event }) => event === 'tag.given-up')).toMatchObject({
      err: { stack: expect.stringContaining('RangeError: this is a bug') },
    });
    // The outcome is final, like that of every refused tag.
    expect(await handler(job)).toMatchObject({ known: true });
  });

  test.for<[string, () => Error]>([
    ['GitLab', () => new Retry('GitLab answered 503')],
    ['the store', () => new StoreUnavailable('the store is down')],
    ['the disk', () => new TemporaryDiskFull('/tmp', new Error('ENOSPC'))],
    ['the limit on open files', () => Object.assign(new Error('EMFILE'), { code: 'EMFILE', syscall: 'open' })],
  ])(
    'because of an outage (%s) is never given up',
    async ([, failure], { createPublishing, createHandler, pushTags }) => {
      const { id, commit } = await pushTags();
      let isDown = true;
      const { publisher } = await createPublishing({
        lock: async (name, work) => {
          if (isDown && name.endsWith('@v1.0.0')) throw failure();
          return await work();
        },
      });
      const handler = createHandler(publisher);
      const job = pushedTag(id, 'v1.0.0', commit);
      const { result } = await attempt(handler, job, (count) => handler(pushedTag(id, `v1.1.${count - 1}`, commit)));
      expect(result).toBeUndefined();
      isDown = false;
      expect(await handler(job)).toMatchObject({ outcome: { status: 'published' } });
    },
  );

  test('because GitLab sends a damaged archive is refused, if the other tags are published meanwhile', async ({
    gitlab,
    publishing,
    createHandler,
    pushTags,
    createRepository,
  }) => {
    const { id, commit } = await pushTags();
    const { project: other, tree, module } = await createRepository();
    await tree.write({ 'go.mod': `module ${module}\n` }).commit('First');
    await tree.tag(Array.from({ length: MANY }, (_, index) => `v1.1.${index}`));
    await tree.push();
    gitlab.faults.add({ path: new RegExp(`/${id}/repository/archive`), times: 1_000, kind: 'truncate' });
    const handler = createHandler(publishing.publisher);
    const job = pushedTag(id, 'v1.0.0', commit);
    const { attempts, result } = await attempt(handler, job, (count) =>
      handler(pushedTag(other.id, `v1.1.${count - 1}`, tree.head())),
    );
    expect(attempts).toBe(20);
    expect(result).toMatchObject({
      outcome: {
        status: 'refused',
        reason: expect.stringContaining('the archive from GitLab is truncated or damaged'),
      },
    });
  });

  test('is not given up while no tag can be published, because this can be an outage', async ({
    gitlab,
    publishing,
    createHandler,
    pushTags,
  }) => {
    const { id, commit } = await pushTags();
    const fault = gitlab.faults.add({ path: /\/repository\/archive/, times: 1_000, kind: 'truncate' });
    const handler = createHandler(publishing.publisher);
    const job = pushedTag(id, 'v1.0.0', commit);
    expect((await attempt(handler, job)).result).toBeUndefined();
    fault.remove();
    expect(await handler(job)).toMatchObject({ outcome: { status: 'published' } });
  });

  test('begins again after a success', async ({ createPublishing, createHandler, pushTags }) => {
    const { id, commit } = await pushTags();
    let failures = 0;
    const { publisher, store } = await createPublishing({
      lock: async (_name, work) => {
        if (failures-- > 0) throw new TypeError('sometimes');
        return await work();
      },
    });
    const handler = createHandler(publisher);
    const job = pushedTag(id, 'v1.0.0', commit);
    for (let round = 0; round < 3; round++) {
      failures = 15;
      expect((await attempt(handler, job)).result).toMatchObject({ outcome: { status: 'published' } });
      await removeAll(store);
    }
  });

  test('at a tag that GitLab describes in an unknown form is refused at the commit of its listing', async ({
    gitlab,
    publishing,
    createHandler,
    pushTags,
  }) => {
    const { id, commit } = await pushTags();
    const body = { name: 'v1.0.0', target: commit, commit: { id: commit, committed_date: 'soon' } };
    const kind = { status: 200, body, headers: { 'content-type': 'application/json' } };
    gitlab.faults.add({ path: /\/repository\/tags\/v1(?:%2E|\.)0(?:%2E|\.)0$/, times: 1_000, kind });
    const handler = createHandler(publishing.publisher);
    const { result } = await attempt(handler, pushedTag(id, 'v1.0.0', commit), (count) =>
      handler(pushedTag(id, `v1.1.${count - 1}`, commit)),
    );
    expect(result).toMatchObject({ outcome: { status: 'refused', commit } });
  });
});

async function removeAll(store: Store): Promise<void> {
  for (const prefix of ['modules/', 'outcomes/'])
    for await (const { key } of store.list(prefix)) await store.delete(key);
}
