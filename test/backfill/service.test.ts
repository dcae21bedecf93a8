import { describe, expect } from 'vitest';
import { Issuer, type Claims } from '../auth/issuer.ts';
import { library, PREFIX, pushTags } from '../e2e/office.ts';
import { runModpress, startModpress } from '../e2e/service.ts';
import { ADMIN_TOKEN, test as base } from './fixtures.ts';

const AUDIENCE = 'https://modpress.example';

/** The response to a request for a backfill. */
interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Sends a request for a backfill to the service. */
type Post = (token: string | undefined, body: unknown) => Promise<Answer>;

/** Signs an id_token for the service as GitLab does for a job of team/lib. */
type SignIdToken = (claims?: Claims) => Promise<string>;

/** The fixtures that the requests of a table use. */
interface RequestFixtures {
  readonly issuer: Issuer;
  readonly post: Post;
  readonly signIdToken: SignIdToken;
}

const test = base
  .extend('issuer', { scope: 'file' }, async ({}, { onCleanup }) => {
    const issuer = await Issuer.start();
    onCleanup(() => issuer.close());
    return issuer;
  })
  .override('settings', ({ issuer }) => ({
    ADMIN_TOKEN,
    ADMIN_OIDC: `issuer=${issuer.url} audience=${AUDIENCE} operators=platform/ci projects=team`,
  }))
  .extend('post', { scope: 'file' }, ({ service }): Post => async (token, body) => {
    const response = await fetch(`${service.url}/-/backfill`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    return { status: response.status, text: await response.text() };
  })
  .extend(
    'signIdToken',
    { scope: 'file' },
    ({ issuer }): SignIdToken =>
      (claims = {}) =>
        issuer.sign({ aud: AUDIENCE, project_path: 'team/lib', ...claims }),
  );

// The service starts before the projects exist, so that its first sweep does not publish their tags.
test.beforeAll(async ({ service: _started, office }) => {
  for (const path of ['team/lib', 'team/other', 'platform/ci']) {
    const project = await office.gitlab.createProject(path);
    await pushTags(project, library(`${PREFIX}/${path}`, 'word'), 'v1.0.0', 'v1.1.0', 'latest');
  }
});

/** The routes `/-/backfill` of a running service, and `modpress backfill --url`, which uses them. */
describe('backfill by a service', () => {
  test('starts with the command, which prints the result', async ({ service }) => {
    const { status, stdout, stderr } = await runModpress(['backfill', 'platform', '--url', `${service.url}/`], {
      ADMIN_TOKEN,
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(/published +2\n/);
    expect(stdout).toMatch(/1 {2}tag … is not a version/);
    expect((await fetch(`${service.url}/${PREFIX}/platform/ci/@v/v1.1.0.zip`)).status).toBe(200);
  });

  test('continues after the command is interrupted', async ({ office, service }) => {
    const slow = office.gitlab.faults.add({ path: /\/repository\/tags/, kind: { delayMs: 3_000 }, times: 5 });
    const { child, result } = await startModpress(['backfill', 'team/other', '--dry-run', '--url', service.url], {
      ADMIN_TOKEN,
    });
    // The hits of the fault would prove nothing, because a backfill of another test may still read the same project.
    await expect
      .poll(
        () =>
          service.log.some(
            ({ event, targets, dryRun }) =>
              event === 'backfill.requested' && String(targets) === 'team/other' && dryRun === true,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
    child.kill('SIGINT');
    expect(await result).toMatchObject({
      status: 130,
      stdout: expect.stringMatching(
        /^interrupted after .*: the service continues the backfill; run the same command again to follow it$/m,
      ),
    });
    await expect
      .poll(() =>
        service.log.some(({ event, targets }) => event === 'backfill.finished' && String(targets) === 'team/other'),
      )
      .toBe(true);
    slow.remove();
  });

  test('a job may publish the tags of its own project, and no others, with its id_token', async ({
    service,
    signIdToken,
  }) => {
    const own = await runModpress(['backfill', '--url', service.url], { MODPRESS_ID_TOKEN: await signIdToken() });
    expect(own).toMatchObject({ status: 0 });
    expect(own.stdout).toMatch(/projects +1\n/);
    const other = await runModpress(['backfill', 'team/other', '--url', service.url], {
      MODPRESS_ID_TOKEN: await signIdToken(),
    });
    expect(other).toMatchObject({ status: 1, stdout: '' });
    expect(other.stderr).toContain(
      'answered 403: a job of team/lib may only publish tags of that project, not of team/other\n',
    );
  });

  test('a job of an operator project may publish everything', async ({ service, signIdToken }) => {
    const token = await signIdToken({ project_path: 'platform/ci' });
    expect(
      await runModpress(['backfill', '--dry-run', '--url', service.url], { MODPRESS_ID_TOKEN: token }),
    ).toMatchObject({ status: 0, stdout: expect.stringMatching(/projects +3\n/) });
  });

  test('returns the progress as JSON and as a stream of events, to its starter and to administrators', async ({
    office,
    service,
    post,
    signIdToken,
  }) => {
    const slow = office.gitlab.faults.add({ path: /\/repository\/tags/, kind: { delayMs: 2_500 }, times: 3 });
    const { status, text } = await post(ADMIN_TOKEN, { targets: ['team'], dryRun: true });
    expect(status).toBe(202);
    const { id, followToken } = JSON.parse(text) as { id: string; followToken: string };
    const url = `${service.url}/-/backfill/${id}`;
    const as = (token: string | undefined, accept = 'application/json'): Promise<Response> =>
      fetch(url, { headers: { Accept: accept, ...(token && { Authorization: `Bearer ${token}` }) } });

    await expect
      .poll(async () => (await as(followToken)).json())
      .toMatchObject({ id, request: { targets: ['team'] }, progress: { state: 'running', dryRun: true } });
    const stream = await as(ADMIN_TOKEN, 'text/event-stream');
    expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = (await stream.text()).split('\n\n').filter((event) => event.startsWith('event: progress\ndata: '));
    const states = events.map(
      (event) => (JSON.parse(event.slice('event: progress\ndata: '.length)) as { state: string }).state,
    );
    expect(states.length).toBeGreaterThan(1);
    expect([states[0], states.at(-1)]).toEqual(['running', 'done']);
    slow.remove();

    expect((await as(undefined)).status).toBe(401);
    expect((await as('x'.repeat(64))).status).toBe(401);
    expect((await as(await signIdToken())).status).toBe(403);
    const ofAll = JSON.parse((await post(ADMIN_TOKEN, { dryRun: true })).text) as { id: string };
    const byJob = await fetch(`${service.url}/-/backfill/${ofAll.id}`, {
      headers: { Authorization: `Bearer ${await signIdToken()}` },
    });
    expect([byJob.status, await byJob.text()]).toEqual([
      403,
      `a job of team/lib may only follow backfills of that project\nrequest id: ${byJob.headers.get('X-Request-Id')}\n`,
    ]);
    expect(
      (await fetch(`${service.url}/-/backfill/none`, { headers: { Authorization: `Bearer ${ADMIN_TOKEN}` } })).status,
    ).toBe(404);
  });

  test('merges a request with an equal one that is running', async ({ office, post }) => {
    const slow = office.gitlab.faults.add({ path: /\/repository\/tags/, kind: { delayMs: 500 }, times: 2 });
    const [first, second, dryRun] = await Promise.all([
      post(ADMIN_TOKEN, { targets: ['team'] }),
      post(ADMIN_TOKEN, { targets: ['team'] }),
      post(ADMIN_TOKEN, { targets: ['team'], dryRun: true }),
    ]);
    const [id, same, another] = [first, second, dryRun].map(({ text }) => (JSON.parse(text) as { id: string }).id);
    expect(same).toBe(id);
    expect(another).not.toBe(id);
    slow.remove();
  });

  describe('answers with one clear line', () => {
    test.for<[string, (fixtures: RequestFixtures) => Promise<Answer>, number, RegExp]>([
      ['no token', ({ post }) => post(undefined, {}), 401, /^no token: send the header/],
      ['an unknown token', ({ post }) => post('not-the-token', {}), 401, /^the token is not valid here/],
      [
        'a forged id_token',
        async ({ post, issuer }) => post(await issuer.forge({ aud: AUDIENCE }), {}),
        401,
        /id_token/,
      ],
      [
        'an expired id_token',
        async ({ post, signIdToken }) => post(await signIdToken({ exp: 1_700_000_000 }), {}),
        401,
        /expired at .*start the job again/,
      ],
      [
        'an id_token for another service',
        async ({ post, signIdToken }) => post(await signIdToken({ aud: 'https://other.example' }), {}),
        401,
        /audience.*https:\/\/other\.example.*aud/,
      ],
      [
        'an unprotected ref',
        async ({ post, signIdToken }) => post(await signIdToken({ ref: 'feature', ref_protected: 'false' }), {}),
        403,
        /feature.*not protected.*protected branch or tag/,
      ],
      [
        'a project that is not allowed',
        async ({ post, signIdToken }) => post(await signIdToken({ project_path: 'stranger/lib' }), {}),
        403,
        /stranger\/lib.*ADMIN_OIDC/,
      ],
      [
        'an unknown group',
        ({ post }) => post(ADMIN_TOKEN, { targets: ['nobody'] }),
        404,
        /^GitLab has no group or project nobody/,
      ],
      [
        'an invalid date',
        ({ post }) => post(ADMIN_TOKEN, { since: 'yesterday' }),
        400,
        /^since is not a date: write it like 2026-01-31/,
      ],
      ['an unknown field', ({ post }) => post(ADMIN_TOKEN, { dry: true }), 400, /Unrecognized key/],
      ['a body that is not JSON', ({ post }) => post(ADMIN_TOKEN, '{'), 400, /^the body must be a JSON object/],
      [
        'a body that is too large',
        ({ post }) => post(ADMIN_TOKEN, { targets: ['x'.repeat(200_000)] }),
        400,
        /at most 100 KB/,
      ],
    ])('%s', async ([, send, status, line], { issuer, post, signIdToken }) => {
      const response = await send({ issuer, post, signIdToken });
      expect(response.status).toBe(status);
      expect(response.text).toMatch(line);
      expect(response.text).toMatch(/^[^\n]+\nrequest id: [0-9a-f-]{36}\n$/);
    });

    test('a GitLab that refuses the token of the service', async ({ office, post }) => {
      const fault = office.gitlab.faults.add({
        path: /\/groups\/team/,
        kind: { status: 401, body: { message: '401 Unauthorized' } },
      });
      expect(await post(ADMIN_TOKEN, { targets: ['team'] })).toMatchObject({
        status: 502,
        text: expect.stringContaining('is GITLAB_TOKEN still valid?'),
      });
      fault.remove();
    });

    test('another method', async ({ service }) => {
      expect((await fetch(`${service.url}/-/backfill`)).status).toBe(405);
    });
  });
});
