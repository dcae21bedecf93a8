import { describe, expect } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { Retry } from '../../src/errors.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import type { CommitId } from '../../src/gitlab/schema.ts';
import { test as base } from '../fake-gitlab/fixtures.ts';
import type { StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';

const test = base
  .override('gitlabOptions', { archiveLimit: 0 })
  /** Requests an archive, which GitLab refuses. Rejects with the error of the client. */
  .extend('requestArchive', { scope: 'file' }, async ({ gitlab }) => {
    const project = await gitlab.createProject('group/library');
    await using tree = await WorkTree.create(project);
    const commit = (await tree.write({ 'go.mod': 'module m\n' }).commit('Only')) as CommitId;
    await tree.push();
    const token = gitlab.createToken({ scopes: ['read_api'] });
    const client = new GitLabClient({
      http: new HttpClient(),
      url: gitlab.url,
      token,
      beforeCall: async () => undefined,
    });
    return async (): Promise<unknown> => client.archive(project.id, commit, '');
  });

describe('an archive that GitLab refuses because of its rate limit', () => {
  test('is requested again after a minute, because GitLab sends no Retry-After', async ({ gitlab, requestArchive }) => {
    expect((await refusal(gitlab, requestArchive)).afterMs).toBe(60_000);
  });

  test('is requested again after the Retry-After of a proxy in front of GitLab', async ({ gitlab, requestArchive }) => {
    gitlab.faults.add({ path: /archive/, kind: { status: 429, headers: { 'Retry-After': '7' } } });
    expect((await refusal(gitlab, requestArchive)).afterMs).toBe(7_000);
  });
});

/** Requests an archive once. Returns the error of the client. */
async function refusal(gitlab: StandIn, requestArchive: () => Promise<unknown>): Promise<Retry> {
  gitlab.clearRequests();
  const error: unknown = await requestArchive().catch((reason: unknown) => reason);
  if (!(error instanceof Retry)) throw new Error('not refused', { cause: error });
  // An immediate retry would count against the limit too.
  expect(gitlab.requests.filter(({ status }) => status === 429)).toHaveLength(1);
  return error;
}
