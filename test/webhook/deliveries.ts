import { createHmac, randomUUID } from 'node:crypto';

/** Creates deliveries in the form in which GitLab sends them. */

export const zeros = '0'.repeat(40);
export const commit = '82b3d5ae55f7080f1e6022629cdb57bfae7cccc7';

/** Returns the body of a tag push, as project and group webhooks send it. */
export function tagPush(parts: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    object_kind: 'tag_push',
    event_name: 'tag_push',
    before: zeros,
    after: commit,
    ref: 'refs/tags/v1.0.0',
    ref_protected: true,
    checkout_sha: commit,
    message: 'Tag message',
    user_id: 1,
    user_name: 'J Smith',
    user_username: 'jsmith',
    project_id: 1,
    project: {
      id: 1,
      name: 'Example',
      path_with_namespace: 'jsmith/example',
      visibility_level: 0,
      default_branch: 'master',
    },
    commits: [],
    total_commits_count: 0,
    push_options: {},
    repository: {},
    ...parts,
  };
}

/** Returns the body of the system hook event that reports a whole push. */
export function repositoryUpdate(changes: { before: string; after: string; ref: string }[]): Record<string, unknown> {
  return {
    event_name: 'repository_update',
    user_id: 1,
    project_id: 1,
    project: { id: 1, name: 'Example', path_with_namespace: 'jsmith/example' },
    changes,
    refs: changes.map(({ ref }) => ref),
  };
}

/** Returns the headers of a delivery with a plain token. */
export function headers(parts: Record<string, string> = {}): Record<string, string> {
  return {
    'Content-Type': 'application/json',
    'User-Agent': 'GitLab/18.11.0',
    'X-Gitlab-Event': 'Tag Push Hook',
    'X-Gitlab-Event-UUID': randomUUID(),
    'Idempotency-Key': randomUUID(),
    'X-Gitlab-Token': 'the secret',
    ...parts,
  };
}

/** Creates a new signing token. */
export function signingToken(): string {
  return `whsec_${createHmac('sha256', randomUUID()).digest('base64')}`;
}

/**
 * Returns the headers of a signed delivery without a plain token. `at` is the time of the signature, in ms since the
 * epoch.
 */
export function signedHeaders(token: string, body: string, at = Date.now()): Record<string, string> {
  const id = randomUUID();
  const timestamp = String(Math.floor(at / 1_000));
  const { 'X-Gitlab-Token': _plain, ...rest } = headers();
  return {
    ...rest,
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': sign(token, id, timestamp, body),
  };
}

/** Returns a signature, `v1,<base64>`. */
export function sign(token: string, id: string, timestamp: string, body: string): string {
  const key = Buffer.from(token.slice('whsec_'.length), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}
