import { describe, expect, it } from 'vitest';
import { MAX_CHANGES, parseBody } from '../../src/webhook/parse-body.ts';
import { MAX_BLOCK_MS, measure } from '../hostile/event-loop.ts';
import { commit, repositoryUpdate, tagPush, zeros } from './deliveries.ts';

const change = (ref: string) => ({ before: zeros, after: commit, ref });

describe('a large body', () => {
  it('of 25 MB does not block other requests, and keeps the changes of tags', async () => {
    const changes = Array.from({ length: 170_000 }, (_, index) => change(`refs/heads/branch-${index}`));
    const body = Buffer.from(JSON.stringify(repositoryUpdate([...changes, change('refs/tags/v1.0.0')])));
    const { result, longestBlockMs } = await measure(() => parseBody(body));
    expect(result).toMatchObject({ project_id: 1, changes: [change('refs/tags/v1.0.0')] });
    expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
  });

  it('has a limited number of changes', async () => {
    const changes = Array.from({ length: MAX_CHANGES + 1 }, (_, index) => change(`refs/tags/v1.${index}.0`));
    const body = (await parseBody(Buffer.from(JSON.stringify(repositoryUpdate(changes))))) as { changes: unknown[] };
    expect(body.changes).toEqual(changes.slice(0, MAX_CHANGES));
  });

  it('of any event has the fields that count', async () => {
    const body = tagPush({ message: 'x'.repeat(300_000) });
    const { event_name, project_id, ref, after, checkout_sha } = body;
    expect(await parseBody(Buffer.from(JSON.stringify(body)))).toMatchObject({
      event_name,
      project_id,
      ref,
      after,
      checkout_sha,
      project: { path_with_namespace: 'jsmith/example' },
    });
  });

  it.each([
    ['truncated JSON', 'JSON', Buffer.from(JSON.stringify('x'.repeat(300_000)).slice(0, -1))],
    [
      'invalid UTF-8',
      'encoded data',
      Buffer.concat([Buffer.from(`"${'x'.repeat(300_000)}`), Buffer.from([0xff]), Buffer.from('"')]),
    ],
  ])('of %s is refused', async (_name, reason, body) => {
    await expect(parseBody(body)).rejects.toThrow(reason);
  });

  it.each(['null', '[]', '{"changes":7}'])('is not trusted to have a form: %s', async (json) => {
    await expect(parseBody(Buffer.from(`${json}${' '.repeat(300_000)}`))).resolves.toBeDefined();
  });
});
