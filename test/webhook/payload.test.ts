import { pushedTag } from '../../src/queue/tag-job.ts';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { commit, headers, repositoryUpdate, tagPush, zeros } from './deliveries.ts';
import { useWebhookServer } from './server.ts';

const tagObject = 'b'.repeat(40);

describe('the webhook', () => {
  const hook = useWebhookServer();

  describe('queues', () => {
    beforeEach(() => hook.serve());

    it('a created tag', async () => {
      const given = headers();
      const response = await hook.post(tagPush(), given);
      expect(response.status).toBe(202);
      expect(await response.json()).toEqual({ queued: 1, folded: 0 });
      expect(hook.jobs()).toEqual([pushedTag(1, 'v1.0.0', commit)]);
      expect(hook.added[0]?.delivery).toContain(given['Idempotency-Key']);
      expect(hook.received).toEqual(['tag_push queued']);
    });

    it('a moved tag', async () => {
      expect((await hook.post(tagPush({ before: tagObject }))).status).toBe(202);
      expect(hook.jobs()).toEqual([pushedTag(1, 'v1.0.0', commit)]);
    });

    it('an annotated tag, with its commit as the hint', async () => {
      await hook.post(tagPush({ after: tagObject }));
      expect(hook.jobs()[0]?.hint).toBe(commit);
    });

    it('a tag whose commit GitLab did not find, with the tag object as the hint', async () => {
      await hook.post(tagPush({ after: tagObject, checkout_sha: null }));
      expect(hook.jobs()[0]?.hint).toBe(tagObject);
    });

    it('a tag of a repository with SHA-256', async () => {
      const after = 'c'.repeat(64);
      await hook.post(tagPush({ after, checkout_sha: after }));
      expect(hook.jobs()[0]?.hint).toBe(after);
    });

    it('tags with slashes, with non-ASCII letters, and with 1,024 bytes', async () => {
      for (const tag of ['sub/dir/v1.2.3', 'größe/v1.0.0', `v${'x'.repeat(1_023)}`]) {
        expect((await hook.post(tagPush({ ref: `refs/tags/${tag}` }))).status).toBe(202);
        expect(hook.jobs().at(-1)?.tag).toBe(tag);
      }
    });

    it('a tag push of a group webhook, which has the same form', async () => {
      const given = headers({ 'X-Gitlab-Webhook-UUID': randomUUID(), 'X-Gitlab-Instance': 'http://gitlab.example' });
      expect((await hook.post(tagPush(), given)).status).toBe(202);
    });

    it('a tag push through a system hook', async () => {
      const given = headers({ 'X-Gitlab-Event': 'System Hook' });
      expect((await hook.post(tagPush(), given)).status).toBe(202);
      expect(hook.jobs()).toEqual([pushedTag(1, 'v1.0.0', commit)]);
    });

    it('every tag of a repository update that was not deleted', async () => {
      const body = repositoryUpdate([
        { before: zeros, after: commit, ref: 'refs/heads/main' },
        { before: zeros, after: commit, ref: 'refs/tags/v1.0.0' },
        { before: commit, after: zeros, ref: 'refs/tags/v0.9.0' },
        { before: tagObject, after: commit, ref: 'refs/tags/sub/v1.1.0' },
      ]);
      const response = await hook.post(body, headers({ 'X-Gitlab-Event': 'System Hook' }));
      expect(response.status).toBe(202);
      expect(await response.json()).toEqual({ queued: 2, folded: 0 });
      expect(hook.jobs()).toEqual([pushedTag(1, 'v1.0.0', commit), pushedTag(1, 'sub/v1.1.0', commit)]);
      expect(new Set(hook.added.map(({ delivery }) => delivery)).size).toBe(2);
    });

    it('the valid changes of a repository update, without the invalid ones', async () => {
      const changes = ['v1.0.0', 'v1..0', `v${'1'.repeat(5_000)}`].map((tag) => ({
        before: zeros,
        after: commit,
        ref: `refs/tags/${tag}`,
      }));
      const body = { ...repositoryUpdate([]), changes: [null, ...changes, { ref: 'refs/tags/v1.1.0' }] };
      const response = await hook.post(body, headers({ 'X-Gitlab-Event': 'System Hook' }));
      expect(response.status).toBe(202);
      expect(hook.jobs()).toEqual([pushedTag(1, 'v1.0.0', commit)]);
    });

    it.each([
      [20, 20, 'pushed'],
      [21, 21, 'listed'],
      [600, 500, 'listed'],
    ] as const)('of %i tags of one push %i, which are %s', async (pushed, queued, priority) => {
      const body = repositoryUpdate(
        Array.from({ length: pushed }, (_, index) => ({
          before: zeros,
          after: commit,
          ref: `refs/tags/v1.${index}.0`,
        })),
      );
      const response = await hook.post(body, headers({ 'X-Gitlab-Event': 'System Hook' }));
      expect(await response.json()).toEqual({ queued, folded: 0 });
      expect(new Set(hook.added.map(({ job }) => job.priority))).toEqual(new Set([priority]));
    });

    it('a tag from JSON with a charset', async () => {
      const given = headers({ 'Content-Type': 'application/json; charset=utf-8' });
      expect((await hook.post(tagPush(), given)).status).toBe(202);
    });

    it('a tag from a body that arrives in pieces', async () => {
      const body = JSON.stringify(tagPush({ message: 'ü'.repeat(50) }));
      const sending = httpRequest(hook.url, { method: 'POST', headers: headers() });
      const answered = once(sending, 'response');
      const bytes = Buffer.from(body);
      for (let at = 0; at < bytes.length; at += 101) {
        sending.write(bytes.subarray(at, at + 101));
        await sleep(1);
      }
      sending.end();
      const [response] = await answered;
      response.resume();
      expect(response.statusCode).toBe(202);
      expect(hook.added).toHaveLength(1);
    });
  });

  describe('ignores with status 200', () => {
    beforeEach(() => hook.serve());

    const system = headers({ 'X-Gitlab-Event': 'System Hook' });
    const deleted = { before: commit, after: zeros };
    it.each([
      ['a deleted tag', tagPush({ ...deleted, checkout_sha: null }), headers(), 'the tag was deleted'],
      ['deleted tags', repositoryUpdate([{ ...deleted, ref: 'refs/tags/v1.0.0' }]), system, 'the tag was deleted'],
      [
        'branches',
        repositoryUpdate([{ before: zeros, after: commit, ref: 'refs/heads/v1.0.0' }]),
        system,
        'no tag has changed',
      ],
      ['an update without changes', repositoryUpdate([]), system, 'no tag has changed'],
      [
        'other system events',
        { event_name: 'project_create', project_id: 4 },
        system,
        'the event does not concern tags',
      ],
      [
        'other events',
        { object_kind: 'merge_request' },
        headers({ 'X-Gitlab-Event': 'Merge Request Hook' }),
        'the event does not concern tags',
      ],
    ])('%s', async (_name, body, given, reason) => {
      const response = await hook.post(body, given);
      expect(response.status).toBe(200);
      expect(response.headers.get('Content-Type')).toContain('text/plain');
      expect(await response.text()).toBe(`ignored: ${reason}\n`);
      expect(hook.added).toEqual([]);
      expect(hook.received[0]).toMatch(/ ignored$/);
    });
  });

  describe('refuses with 400', () => {
    beforeEach(() => hook.serve());

    const system = headers({ 'X-Gitlab-Event': 'System Hook' });
    const { 'X-Gitlab-Event': _event, ...eventless } = headers();
    const wrong: [string, unknown, Record<string, string>?][] = [
      ['a body that is not JSON', '{"object_kind":'],
      ['a body that is not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
      ['an empty body', ''],
      ['JSON that is not an object', '[]'],
      ['null', 'null'],
      ['a body without a project', tagPush({ project_id: undefined })],
      ['a project id that is a string', tagPush({ project_id: '1' })],
      ['a negative project id', tagPush({ project_id: -1 })],
      ['a project id that is not an integer', tagPush({ project_id: 1.5 })],
      ['a ref that is not a string', tagPush({ ref: ['refs/tags/v1.0.0'] })],
      ['an after that is not an object id', tagPush({ after: 'main' })],
      ['a checkout_sha that is not an object id', tagPush({ checkout_sha: '../..' })],
      ['an event_name that contradicts the header', tagPush({ event_name: 'push' })],
      ['a system hook without event_name', {}, system],
      ['changes that are not a list', { ...repositoryUpdate([]), changes: {} }, system],
      [
        'changes that are all invalid',
        {
          ...repositoryUpdate([]),
          changes: [null, { ref: 'refs/tags/v1.0.0' }, { ref: 'refs/tags/v1..0', after: commit }],
        },
        system,
      ],
      ['a delivery without X-Gitlab-Event', tagPush(), eventless],
    ];
    it.each(wrong)('%s', async (_name, body, given) => {
      const response = await hook.post(body, given);
      expect(response.status).toBe(400);
      expect(response.headers.get('Content-Type')).toContain('text/plain');
      expect((await response.text()).length).toBeGreaterThan(5);
      expect(hook.added).toEqual([]);
      expect(hook.received[0]).toMatch(/ malformed$/);
    });

    const names = [
      '',
      '/v1',
      'v1/',
      'a//b',
      '.v1',
      'a/.b',
      'v1.',
      'v1.lock',
      'a.lock/b',
      'a..b',
      'a b',
      'a~b',
      'a^b',
      'a:b',
      'a?b',
      'a*b',
      'a[b',
      'a\\b',
      'a@{b',
      'a\nb',
      'a\u0000b',
      'a\u007fb',
      'a\u0085b',
      '\ud800',
      'ü'.repeat(513),
    ];
    it.each(names)('the tag name %j', async (name) => {
      const response = await hook.post(tagPush({ ref: `refs/tags/${name}` }));
      expect(response.status).toBe(400);
      expect(await response.text()).toBe(
        `ref: not a valid tag name\nrequest id: ${response.headers.get('X-Request-Id')}\n`,
      );
      expect(hook.added).toEqual([]);
    });
  });
});
