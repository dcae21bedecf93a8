import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect } from 'vitest';
import { call } from './api-client.ts';
import { test as base } from './fixtures.ts';
import { startGitLab, type Project, type StandIn } from './stand-in.ts';
import { WorkTree } from './work-tree.ts';

const zeros = '0'.repeat(40);

/** A project that no other test uses, with one commit. */
interface Library {
  readonly project: Project;
  readonly work: WorkTree;
  readonly commit: string;
}

let count = 0;

const test = base.extend('lib', ({ gitlab }) => createLibrary(gitlab));

describe('webhooks', () => {
  test("a pushed tag calls the project hook with GitLab's body and headers", async ({
    gitlab,
    receiver,
    lib: { project, work, commit },
  }) => {
    await addHook(gitlab, `/projects/${project.id}`, { url: receiver.url, token: 's3cret' });
    await work.tag('v1.0.0', { annotated: true, message: 'The first' });
    await work.push('v1.0.0');
    await gitlab.settled();

    expect(receiver.received).toHaveLength(1);
    const { headers, body } = receiver.received[0] ?? { headers: {}, body: '' };
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-gitlab-event': 'Tag Push Hook',
      'x-gitlab-token': 's3cret',
      'x-gitlab-instance': gitlab.url,
      'x-gitlab-event-uuid': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'x-gitlab-webhook-uuid': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'idempotency-key': expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(headers).not.toHaveProperty('webhook-signature');
    const tagObject = (await work.git('rev-parse', 'refs/tags/v1.0.0')).trim();
    expect(tagObject).not.toBe(commit);
    expect(JSON.parse(body)).toMatchObject({
      object_kind: 'tag_push',
      event_name: 'tag_push',
      before: zeros,
      after: tagObject,
      ref: 'refs/tags/v1.0.0',
      checkout_sha: commit,
      message: 'The first',
      project_id: project.id,
      project: {
        id: project.id,
        path_with_namespace: project.path,
        git_http_url: project.httpUrl,
        visibility_level: 0,
        default_branch: 'main',
      },
      total_commits_count: 1,
      push_options: {},
    });
    expect(gitlab.deliveries.find(({ url }) => url === receiver.url)).toMatchObject({
      event: 'Tag Push Hook',
      status: 200,
      error: undefined,
      body,
    });
  });

  test('before, after and checkout_sha show that a tag was moved or deleted', async ({
    gitlab,
    receiver,
    lib: { project, work, commit },
  }) => {
    await work.tag('v1.0.0');
    await work.push('v1.0.0');
    await addHook(gitlab, `/projects/${project.id}`, { url: receiver.url });
    const second = await work.write({ 'a.go': 'package a\n' }).commit('second');
    await work.tag('v1.0.0', { force: true });
    await work.push('+v1.0.0');
    await gitlab.settled();
    await work.push(':v1.0.0');
    await gitlab.settled();

    const bodies = receiver.received.map(({ body }) => JSON.parse(body) as object);
    expect(bodies).toEqual([
      expect.objectContaining({ before: commit, after: second, checkout_sha: second }),
      expect.objectContaining({ before: second, after: zeros, checkout_sha: null }),
    ]);
  });

  test('signs the id, the time and the body with a signing token', async ({
    gitlab,
    receiver,
    lib: { project, work },
  }) => {
    const key = randomBytes(32);
    await addHook(gitlab, `/projects/${project.id}`, {
      url: receiver.url,
      signing_token: `whsec_${key.toString('base64')}`,
    });
    await work.tag('v1.0.0');
    await work.push('v1.0.0');
    await gitlab.settled();

    const { headers, body } = receiver.received[0] ?? { headers: {}, body: '' };
    const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
    expect(headers['webhook-id']).toBe(headers['idempotency-key']);
    expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
    expect(Number(headers['webhook-timestamp'])).toBeGreaterThan(Date.now() / 1000 - 60);
    const hooks = await call(gitlab, `/projects/${project.id}/hooks`);
    expect(hooks.json).toEqual([expect.objectContaining({ signing_token_present: true, token_present: false })]);
    expect(hooks.json).not.toEqual([expect.objectContaining({ signing_token: expect.anything() })]);
  });

  test('calls the hook for each of three tags in a push, but not at all for four, and counts each action separately', async ({
    gitlab,
    receiver,
    lib: { project, work },
  }) => {
    await addHook(gitlab, `/projects/${project.id}`, { url: receiver.url });
    await work.tag(['v1.0.0', 'v1.1.0', 'v1.2.0']);
    await work.push('v1.0.0', 'v1.1.0', 'v1.2.0');
    await gitlab.settled();
    const refs = (): string[] => receiver.received.map(({ body }) => (JSON.parse(body) as { ref: string }).ref).sort();
    expect(refs()).toEqual(['refs/tags/v1.0.0', 'refs/tags/v1.1.0', 'refs/tags/v1.2.0']);

    await work.tag(['v2.0.0', 'v2.1.0', 'v2.2.0', 'v2.3.0']);
    await work.push('v2.0.0', 'v2.1.0', 'v2.2.0', 'v2.3.0', ':v1.0.0');
    await gitlab.settled();
    expect(refs()).toEqual(['refs/tags/v1.0.0', 'refs/tags/v1.0.0', 'refs/tags/v1.1.0', 'refs/tags/v1.2.0']);
    expect(JSON.parse(receiver.received[3]?.body ?? '')).toMatchObject({ after: zeros });
  });

  test('calls hooks of all parent groups and of the system for a tag, and sends repository_update for a push of any size', async ({
    gitlab,
    receiver,
    lib: { project, work },
  }) => {
    const [top] = project.path.split('/');
    await addHook(gitlab, `/groups/${top}`, { url: `${receiver.url}?top` });
    await addHook(gitlab, `/groups/${encodeURIComponent(`${top}/sub`)}`, { url: `${receiver.url}?sub` });
    const system = await addHook(gitlab, '', { url: `${receiver.url}?system`, repository_update_events: true });
    await work.tag(['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0', 'v1.4.0']);
    await work.push('v1.0.0');
    await gitlab.settled();
    const events = (): string[] =>
      receiver.received
        .map(
          ({ headers, body }) =>
            `${String(headers['x-gitlab-event'])}: ${(JSON.parse(body) as { event_name: string }).event_name}`,
        )
        .sort();
    expect(events()).toEqual([
      'System Hook: repository_update',
      'System Hook: tag_push',
      'Tag Push Hook: tag_push',
      'Tag Push Hook: tag_push',
    ]);

    await work.push('v1.1.0', 'v1.2.0', 'v1.3.0', 'v1.4.0');
    await gitlab.settled();
    expect(events()).toHaveLength(5);
    expect((JSON.parse(receiver.received[4]?.body ?? '') as { changes: object[] }).changes).toHaveLength(4);
    await call(gitlab, `/hooks/${system}`, { method: 'DELETE' });
  });

  test('calls push hooks for a branch, with its commits', async ({
    gitlab,
    receiver,
    lib: { project, work, commit },
  }) => {
    await addHook(gitlab, `/projects/${project.id}`, { url: receiver.url, push_events: true, tag_push_events: false });
    const second = await work.write({ 'a.go': 'package a\n' }).commit('second\n\nwith a body');
    await work.tag('v1.0.0');
    await work.push();
    await gitlab.settled();
    expect(receiver.received.map(({ body }) => JSON.parse(body) as object)).toEqual([
      expect.objectContaining({
        object_kind: 'push',
        ref: 'refs/heads/main',
        before: commit,
        after: second,
        checkout_sha: second,
        total_commits_count: 1,
        commits: [expect.objectContaining({ id: second, title: 'second' })],
      }),
    ]);
  });

  test('calls a failing hook once for each tag, and not at all after four failures in a row', async ({ receiver }) => {
    await using impatient = await startGitLab({ hookTimeoutMs: 1_500 });
    const { project, work } = await createLibrary(impatient);
    const id = await addHook(impatient, `/projects/${project.id}`, { url: receiver.url });
    receiver.status = 500;
    for (const tag of ['v1.0.0', 'v1.1.0', 'v1.2.0']) {
      await work.tag(tag);
      await work.push(tag);
      await impatient.settled();
    }
    receiver.status = 'hang';
    await work.tag(['v1.3.0', 'v1.4.0']);
    await work.push('v1.3.0');
    await impatient.settled();
    expect(impatient.deliveries.filter(({ url }) => url === receiver.url).map(({ status }) => status)).toEqual([
      500,
      500,
      500,
      undefined,
    ]);
    await work.push('v1.4.0');
    await impatient.settled();
    expect(receiver.received).toHaveLength(4);
    const hook = await call(impatient, `/projects/${project.id}/hooks/${id}`);
    expect(hook.json).toMatchObject({
      alert_status: 'temporarily_disabled',
      disabled_until: expect.stringContaining('T'),
    });

    receiver.status = 200;
    const path = `/projects/${project.id}/hooks/${id}/events`;
    const events = await call(impatient, `${path}?status=server_failure`);
    expect(events.json).toHaveLength(4);
    const [last] = events.json as { id: number; response_status: string; request_headers: Record<string, string> }[];
    expect(last?.response_status).toBe('internal error');
    const resent = await call(impatient, `${path}/${last?.id}/resend`, { method: 'POST' });
    expect(resent).toMatchObject({ status: 201, json: { response_status: 200 } });
    expect(receiver.received[4]?.headers['idempotency-key']).toBe(last?.request_headers['Idempotency-Key']);
    expect((await call(impatient, `/projects/${project.id}/hooks/${id}`)).json).toMatchObject({
      alert_status: 'executable',
    });
  });

  test('the test of a hook sends a tag_push whose ids belong to no tag', async ({
    gitlab,
    receiver,
    lib: { project },
  }) => {
    const id = await addHook(gitlab, `/projects/${project.id}`, { url: receiver.url });
    const answer = await call(gitlab, `/projects/${project.id}/hooks/${id}/test/tag_push_events`, { method: 'POST' });
    expect(answer).toMatchObject({ status: 201, json: { message: '201 Created' } });
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toMatchObject({ object_kind: 'tag_push', checkout_sha: null });
  });

  test('removes the secrets when the URL changes, and refuses a hook with invalid settings', async ({
    gitlab,
    lib: { project },
  }) => {
    const path = `/projects/${project.id}/hooks`;
    const id = await addHook(gitlab, `/projects/${project.id}`, { url: 'http://127.0.0.1:9/', token: 's3cret' });
    expect((await call(gitlab, `${path}/${id}`, { method: 'PUT', body: { push_events: true } })).json).toMatchObject({
      token_present: true,
      push_events: true,
    });
    expect(
      (await call(gitlab, `${path}/${id}`, { method: 'PUT', body: { url: 'http://127.0.0.1:8/' } })).json,
    ).toMatchObject({ token_present: false });
    expect(await call(gitlab, path, { method: 'POST', body: {} })).toMatchObject({
      status: 400,
      json: { error: 'url is missing' },
    });
    expect(await call(gitlab, path, { method: 'POST', body: { url: 'nowhere' } })).toMatchObject({
      status: 422,
      json: { error: 'Invalid url given' },
    });
    expect(
      (await call(gitlab, path, { method: 'POST', body: { url: 'http://127.0.0.1:9/', signing_token: 'whsec_short' } }))
        .status,
    ).toBe(422);
    expect(await call(gitlab, `${path}/9999`)).toMatchObject({ status: 404, json: { message: '404 Not found' } });
    expect((await call(gitlab, `${path}/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await call(gitlab, path)).json).toEqual([]);
  });

  test('requires a maintainer with the scope api for hooks, and an administrator for system hooks', async ({
    gitlab,
    lib: { project },
  }) => {
    const body = { url: 'http://127.0.0.1:9/' };
    const reporter = gitlab.createToken({ scopes: ['api'], role: 'reporter' });
    const reader = gitlab.createToken({ scopes: ['read_api'] });
    const path = `/projects/${project.id}/hooks`;
    expect(await call(gitlab, path, { method: 'POST', body, token: reporter })).toMatchObject({
      status: 403,
      json: { message: '403 Forbidden' },
    });
    expect(await call(gitlab, path, { method: 'POST', body, token: reader })).toMatchObject({
      status: 403,
      json: { error: 'insufficient_scope' },
    });
    expect((await call(gitlab, path, { token: reader })).status).toBe(200);
    expect((await call(gitlab, '/hooks', { token: gitlab.createToken({ scopes: ['api'] }) })).status).toBe(403);
    expect((await call(gitlab, path, { token: null })).status).toBe(401);
  });
});

test('refuses group hooks without a licence, and returns 404 for them in the community edition', async () => {
  for (const [groupHooks, expected] of [
    [false, { status: 403, json: { message: '403 Forbidden' } }],
    ['community', { status: 404, json: { error: '404 Not Found' } }],
  ] as const) {
    await using gitlab = await startGitLab({ groupHooks });
    gitlab.createGroup('team');
    const body = { url: 'http://127.0.0.1:9/', tag_push_events: true };
    expect(await call(gitlab, '/groups/team/hooks', { method: 'POST', body })).toMatchObject(expected);
  }
});

async function createLibrary(gitlab: StandIn): Promise<Library> {
  const project = await gitlab.createProject(`hooked-${++count}/sub/lib`);
  const work = await WorkTree.create(project);
  const commit = await work.write({ 'go.mod': 'module m\n' }).commit('first');
  await work.push();
  return { project, work, commit };
}

/** Registers a webhook for tags of `/projects/1`, `/groups/a%2Fb`, or the system (an empty string). Returns its id. */
async function addHook(gitlab: StandIn, owner: string, settings: object): Promise<number> {
  const answer = await call(gitlab, `${owner}/hooks`, {
    method: 'POST',
    body: { push_events: false, tag_push_events: true, ...settings },
  });
  expect(answer.status).toBe(201);
  expect(answer.bytes.toString()).not.toContain('s3cret');
  return (answer.json as { id: number }).id;
}
