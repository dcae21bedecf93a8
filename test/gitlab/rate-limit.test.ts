import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { Retry } from '../../src/errors.ts';
import type { CommitId } from '../../src/gitlab/schema.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { rateLimitPauseMs } from '../../src/gitlab/rate-limit-headers.ts';
import { MemoryRateLimiter } from '../../src/rate-limit/memory-rate-limiter.ts';
import type { RateLimiter } from '../../src/rate-limit/rate-limiter.ts';
import { waitForPermit } from '../../src/rate-limit/wait-for-permit.ts';
import { type Project, type StandIn, startGitLab } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';

describe('rateLimitPauseMs', () => {
  const date = 'Tue, 05 Jan 2021 10:59:30 GMT';
  const soon = String(Date.parse('2021-01-05T11:00:00Z') / 1000);
  const past = String(Date.parse('2021-01-05T10:59:00Z') / 1000);

  test.each([
    // GitLab sends these headers in lib/gitlab/rack_attack.rb.
    [429, { 'retry-after': '25', 'ratelimit-remaining': '0', 'ratelimit-reset': soon, date }, 25_000],
    [429, { 'ratelimit-remaining': '0', 'ratelimit-reset': soon, date }, 30_000],
    [429, { 'retry-after': '7' }, 7_000],
    [429, { 'retry-after': '3600' }, 600_000],
    [429, { 'retry-after': '-99' }, 0],
    [429, { 'retry-after': '' }, 0],
    [429, { 'retry-after': 'Infinity' }, 0],
    [429, { 'retry-after': 'Tue, 05 Jan 2021 11:00:00 GMT', date }, 30_000],
    [429, {}, 0],
    // GitLab sends these headers in lib/gitlab/middleware/rack_attack_headers.rb.
    [200, { 'ratelimit-remaining': '0', 'ratelimit-reset': soon, date }, 30_000],
    [200, { 'ratelimit-remaining': '1', 'ratelimit-reset': soon, date }, 0],
    [404, { 'ratelimit-remaining': '0', 'ratelimit-reset': soon, date }, 30_000],
    [200, { 'ratelimit-remaining': '0', 'ratelimit-reset': past, date }, 0],
    [200, { 'ratelimit-remaining': '0', 'ratelimit-reset': String(Number(soon) + 86_400), date }, 600_000],
    [200, { 'ratelimit-remaining': '0', 'ratelimit-reset': 'soon', date }, 0],
    [200, { 'ratelimit-remaining': '0' }, 0],
    [503, { 'retry-after': '7' }, 0],
    [200, {}, 0],
  ])('returns, for status %i with headers %j, a pause of %i ms', (status, headers, pauseMs) => {
    expect(rateLimitPauseMs(new Response(null, { status, headers }), false)).toBe(pauseMs);
  });

  test('uses the local clock if the response has no Date', () => {
    const reset = String(Math.ceil(Date.now() / 1000) + 30);
    const pauseMs = rateLimitPauseMs(
      new Response(null, { headers: { 'ratelimit-remaining': '0', 'ratelimit-reset': reset } }),
      false,
    );
    expect(pauseMs).toBeGreaterThan(25_000);
    expect(pauseMs).toBeLessThanOrEqual(31_000);
  });
});

describe('a rate limit of GitLab', () => {
  let gitlab: StandIn;
  let project: Project;
  let commit: CommitId;
  let token: string;

  beforeAll(async () => {
    gitlab = await startGitLab({ archiveLimit: 'off' });
    project = await gitlab.createProject('group/lib');
    await using tree = await WorkTree.create(project);
    tree.write({ 'go.mod': 'module x\n' });
    commit = (await tree.commit('All')) as CommitId;
    await tree.tag(Array.from({ length: 230 }, (_, i) => `t${i}`));
    await tree.push();
    token = gitlab.createToken({ scopes: ['read_api'] });
  });
  afterEach(() => gitlab.faults.clear());
  afterAll(() => gitlab.close());

  /** Creates a client that records the pauses which it passes on, in ms. */
  function recordingClient(): { client: GitLabClient; holds: number[] } {
    const holds: number[] = [];
    return {
      holds,
      client: new GitLabClient({
        http: new HttpClient(),
        url: gitlab.url,
        token,
        beforeCall: async () => undefined,
        hold: (pauseMs) => void holds.push(pauseMs),
      }),
    };
  }

  /** Creates the client of a replica, which shares the rate limiter with the other replicas. */
  function replica(rateLimiter: RateLimiter): GitLabClient {
    return new GitLabClient({
      http: new HttpClient(),
      url: gitlab.url,
      token,
      beforeCall: () => waitForPermit(rateLimiter, 'gitlab', 1000, 1000),
      hold: (pauseMs) => rateLimiter.hold('gitlab', pauseMs),
    });
  }

  test('in the middle of a long list makes the client wait and then continue the list', async () => {
    const { client, holds } = recordingClient();
    const limit = gitlab.faults.add({
      path: /tags\?.*page_token=/,
      times: 2,
      kind: { status: 429, headers: { 'Retry-After': '1' } },
    });
    const started = performance.now();
    const tags = [];
    for await (const tag of client.tags(project.id)) tags.push(tag);
    expect(tags).toHaveLength(230);
    expect(limit.hits).toBe(2);
    expect(holds).toEqual([1_000, 1_000]);
    expect(performance.now() - started).toBeGreaterThan(1_900);
  });

  test('also pauses the other replicas', async () => {
    const rateLimiter = new MemoryRateLimiter();
    const [first, second] = [replica(rateLimiter), replica(rateLimiter)];
    const limit = gitlab.faults.add({ path: /tags\/t1$/, kind: { status: 429, headers: { 'Retry-After': '1' } } });
    gitlab.clearRequests();
    const limited = first.tag(project.id, 't1');
    await expect.poll(() => limit.hits).toBe(1);
    await expect.poll(() => rateLimiter.reserve('gitlab', 1000, 1000)).toBeGreaterThan(0);
    const started = performance.now();
    expect(await second.tag(project.id, 't2')).toMatchObject({ commit });
    expect(performance.now() - started).toBeGreaterThan(500);
    expect(await limited).toMatchObject({ commit });
  });

  test('that the next call would exceed pauses all calls, and the response is still used', async () => {
    const { client, holds } = recordingClient();
    gitlab.faults.add({
      path: /tags\/t1$/,
      kind: {
        status: 200,
        body: { name: 't1', commit: null },
        headers: { 'RateLimit-Remaining': '0', 'RateLimit-Reset': String(Math.ceil(Date.now() / 1000) + 60) },
      },
    });
    expect(await client.tag(project.id, 't1')).toMatchObject({ name: 't1' });
    expect(holds).toHaveLength(1);
    expect(holds[0]).toBeGreaterThan(50_000);
    expect(holds[0]).toBeLessThanOrEqual(62_000);
  });

  test('that persists causes a Retry after five more calls', async () => {
    const { client } = recordingClient();
    const limit = gitlab.faults.add({
      path: /tags\/t1$/,
      times: 100,
      kind: { status: 429, headers: { 'Retry-After': '0' } },
    });
    await expect(client.tag(project.id, 't1')).rejects.toMatchObject({ name: 'Retry', afterMs: 0 });
    expect(limit.hits).toBe(6);
  });

  test.each([
    ['121', 121_000, [121_000]],
    ['3600', 600_000, [600_000]],
    [undefined, 60_000, []],
  ])(
    'that lasts more than two minutes or an unknown time (Retry-After: %s) causes a Retry at once',
    async (after, afterMs, expected) => {
      const { client, holds } = recordingClient();
      const limit = gitlab.faults.add({
        path: /tags\/t1$/,
        times: 100,
        kind: { status: 429, headers: after === undefined ? {} : { 'Retry-After': after } },
      });
      await expect(client.tag(project.id, 't1')).rejects.toMatchObject({ name: 'Retry', afterMs });
      expect(limit.hits).toBe(1);
      expect(holds).toEqual(expected);
    },
  );

  test.each([
    ['the limit of the project', { 'Retry-After': '7' }, []],
    ['the limit of the token', { 'Retry-After': '7', 'RateLimit-Remaining': '0' }, [7_000]],
  ])('for an archive causes a Retry at once (%s)', async (_, headers, expected) => {
    const { client, holds } = recordingClient();
    const limit = gitlab.faults.add({ path: /archive/, times: 100, kind: { status: 429, headers } });
    await expect(client.archive(project.id, commit, '')).rejects.toMatchObject({ name: 'Retry', afterMs: 7_000 });
    expect(limit.hits).toBe(1);
    expect(holds).toEqual(expected);
  });

  test('whose pause cannot be passed on causes a Retry', async () => {
    const down = new Retry('the rate limiter in Redis cannot be reached');
    const client = new GitLabClient({
      http: new HttpClient(),
      url: gitlab.url,
      token,
      beforeCall: async () => undefined,
      hold: () => Promise.reject(down),
    });
    gitlab.faults.add({ path: /tags\/t1$/, kind: { status: 429, headers: { 'Retry-After': '1' } } });
    await expect(client.tag(project.id, 't1')).rejects.toBe(down);
  });
});
