import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Retry } from '../../src/errors.ts';
import type { CommitId } from '../../src/gitlab/schema.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { startGitLab, type Project, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';

describe('an archive that GitLab refuses because of its rate limit', () => {
  let gitlab: StandIn;
  let client: GitLabClient;
  let project: Project;
  let commit: CommitId;

  beforeAll(async () => {
    gitlab = await startGitLab({ archiveLimit: 0 });
    project = await gitlab.createProject('group/library');
    const tree = await WorkTree.create(project);
    commit = (await tree.write({ 'go.mod': 'module m\n' }).commit('Only')) as CommitId;
    await tree.push();
    client = new GitLabClient({
      url: gitlab.url,
      token: gitlab.createToken({ scopes: ['read_api'] }),
      beforeCall: async () => undefined,
    });
  });
  afterAll(() => gitlab?.close());

  async function refusal(): Promise<Retry> {
    gitlab.clearRequests();
    const error: unknown = await client.archive(project.id, commit, '').catch((reason: unknown) => reason);
    if (!(error instanceof Retry)) throw new Error('not refused', { cause: error });
    // An immediate retry would count against the limit too.
    expect(gitlab.requests.filter(({ status }) => status === 429)).toHaveLength(1);
    return error;
  }

  test('is requested again after a minute, because GitLab sends no Retry-After', async () => {
    expect((await refusal()).afterMs).toBe(60_000);
  });

  test('is requested again after the Retry-After of a proxy in front of GitLab', async () => {
    gitlab.faults.add({ path: /archive/, kind: { status: 429, headers: { 'Retry-After': '7' } } });
    expect((await refusal()).afterMs).toBe(7_000);
  });
});
