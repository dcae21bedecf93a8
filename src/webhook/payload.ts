import { z } from 'zod';
import { pushedTag, type TagJob } from '../queue/tag-job.ts';

/** What a delivery asks for: jobs, or nothing and why, or it is not what GitLab sends and why. */
export type Delivery =
  | { readonly kind: 'tags'; readonly jobs: readonly TagJob[] }
  | { readonly kind: 'ignored'; readonly reason: string }
  | { readonly kind: 'malformed'; readonly reason: string };

const tagPrefix = 'refs/tags/';
const tagBytes = 1_024;

/** 40 digits, or 64 in a repository with SHA-256; all zeros stand for "there is none". */
const sha = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'not an object id');
const ref = z.string().max(4_096);
const projectId = z.int().positive();

const tagPush = z.object({
  event_name: z.literal('tag_push'),
  project_id: projectId,
  ref,
  after: sha,
  checkout_sha: sha.nullish(),
});
const repositoryUpdate = z.object({
  project_id: projectId,
  changes: z.array(z.object({ ref, after: sha })),
});

/** Of everything a payload says, only which tag of which project may have changed is taken from it. */
export function readDelivery(event: string | undefined, body: unknown): Delivery {
  switch (event) {
    case 'Tag Push Hook':
      return readTagPush(body);
    case 'System Hook':
      return readSystemHook(body);
    case undefined:
      return { kind: 'malformed', reason: 'the X-Gitlab-Event header is missing' };
    default:
      return { kind: 'ignored', reason: 'only tag events are of interest' };
  }
}

/** All events of a system hook have the same header; `event_name` tells them apart. */
function readSystemHook(body: unknown): Delivery {
  const named = z.object({ event_name: z.string() }).safeParse(body);
  if (!named.success) return malformed(named.error);
  switch (named.data.event_name) {
    case 'tag_push':
      return readTagPush(body);
    case 'repository_update':
      return readRepositoryUpdate(body);
    default:
      return { kind: 'ignored', reason: 'only tag events are of interest' };
  }
}

function readTagPush(body: unknown): Delivery {
  const parsed = tagPush.safeParse(body);
  if (!parsed.success) return malformed(parsed.error);
  // For an annotated tag, `after` is the tag object and `checkout_sha` the commit, or null if GitLab lost a race.
  const { project_id, ref: name, after, checkout_sha } = parsed.data;
  return readChanges(project_id, [{ ref: name, after, hint: checkout_sha ?? after }]);
}

/** One for each push, whatever the number of its tags, where GitLab drops tag events of more than three. */
function readRepositoryUpdate(body: unknown): Delivery {
  const parsed = repositoryUpdate.safeParse(body);
  if (!parsed.success) return malformed(parsed.error);
  const { project_id, changes } = parsed.data;
  return readChanges(
    project_id,
    changes.map(({ ref: name, after }) => ({ ref: name, after, hint: after })),
  );
}

function readChanges(project: number, changes: readonly { ref: string; after: string; hint: string }[]): Delivery {
  const tags = changes.filter((change) => change.ref.startsWith(tagPrefix));
  if (tags.length === 0) return { kind: 'ignored', reason: 'no tag is concerned' };
  const wrong = tags.find((change) => !isTagName(change.ref.slice(tagPrefix.length)));
  if (wrong !== undefined) return { kind: 'malformed', reason: 'ref: not a valid tag name' };
  const present = tags.filter((change) => !/^0+$/.test(change.after));
  if (present.length === 0) return { kind: 'ignored', reason: 'tag deleted' };
  return {
    kind: 'tags',
    jobs: present.map(({ ref: name, hint }) => pushedTag(project, name.slice(tagPrefix.length), hint)),
  };
}

/** The rules of `git check-ref-format` for what follows `refs/tags/`, and at most 1,024 bytes. */
function isTagName(name: string): boolean {
  if (name === '' || Buffer.byteLength(name) > tagBytes || !name.isWellFormed()) return false;
  if (/[\p{Cc} ~^:?*[\\]|\.\.|@\{|\.$/u.test(name)) return false;
  return name.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'));
}

function malformed(error: z.ZodError): Delivery {
  const reasons = error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  return { kind: 'malformed', reason: reasons.slice(0, 3).join('; ') };
}
