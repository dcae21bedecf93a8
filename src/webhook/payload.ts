import { z } from 'zod';
import { pushedTag, type TagJob } from '../queue/tag-job.ts';

/**
 * The content of a delivery. `tags` contains jobs to queue. `deleted` means that all tags in it were deleted. `ignored`
 * means that there is nothing to publish. `malformed` means that GitLab did not send the payload. `reason` explains the
 * last two.
 */
export type Delivery =
  | { readonly kind: 'tags'; readonly jobs: readonly TagJob[] }
  | { readonly kind: 'deleted'; readonly projectPath: string | undefined }
  | { readonly kind: 'ignored'; readonly reason: string }
  | { readonly kind: 'malformed'; readonly reason: string };

const TAG_PREFIX = 'refs/tags/';
const MAX_TAG_BYTES = 1_024;
const MAX_REF_CHARACTERS = 4_096;
const MAX_REASONS = 3;
/** A person who pushes more tags than this at once waits for all of them, not for each. */
const MAX_TAGS_OF_A_PERSON = 20;
/**
 * The maximum number of tags that are queued from one delivery. GitLab waits ten seconds for the response. The next
 * sweep finds the others.
 */
const MAX_QUEUED_TAGS = 500;

/** 40 hexadecimal digits, or 64 in a SHA-256 repository. All zeros mean that the object does not exist. */
const shaSchema = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'not an object id');
const refSchema = z.string().max(MAX_REF_CHARACTERS);
const projectIdSchema = z.int().positive();

/** A project whose path cannot be read is accepted: only `project_id` is required. */
const projectSchema = z
  .object({ path_with_namespace: z.string().max(MAX_REF_CHARACTERS) })
  .nullish()
  .catch(undefined);

const tagPushSchema = z.object({
  event_name: z.literal('tag_push'),
  project_id: projectIdSchema,
  project: projectSchema,
  ref: refSchema,
  after: shaSchema,
  checkout_sha: shaSchema.nullish(),
});
const changeSchema = z.object({ ref: refSchema, after: shaSchema });
const repositoryUpdateSchema = z.object({
  project_id: projectIdSchema,
  project: projectSchema,
  changes: z.array(z.unknown()),
});

/**
 * Reads which tags of which project may have changed, and ignores the rest of the payload. `event` is the value of the
 * header `X-Gitlab-Event`.
 */
export function readDelivery(event: string | undefined, body: unknown): Delivery {
  switch (event) {
    case 'Tag Push Hook':
      return readTagPush(body);
    case 'System Hook':
      return readSystemHook(body);
    case undefined:
      return { kind: 'malformed', reason: 'the X-Gitlab-Event header is missing' };
    default:
      return { kind: 'ignored', reason: 'the event does not concern tags' };
  }
}

/** All events of a system hook have the same header, and differ in `event_name`. */
function readSystemHook(body: unknown): Delivery {
  const named = z.object({ event_name: z.string() }).safeParse(body);
  if (!named.success) return malformed(named.error);
  switch (named.data.event_name) {
    case 'tag_push':
      return readTagPush(body);
    case 'repository_update':
      return readRepositoryUpdate(body);
    default:
      return { kind: 'ignored', reason: 'the event does not concern tags' };
  }
}

function readTagPush(body: unknown): Delivery {
  const parsed = tagPushSchema.safeParse(body);
  if (!parsed.success) return malformed(parsed.error);
  // For an annotated tag, `after` is the id of the tag object. `checkout_sha` is the id of the commit, or null if
  // GitLab no longer found the tag.
  const { project_id, project, ref, after, checkout_sha } = parsed.data;
  return readChanges(project_id, project?.path_with_namespace, [{ ref, after, hint: checkout_sha ?? after }]);
}

/**
 * GitLab sends one repository_update for each push. For a push of more than three tags, GitLab sends no tag events. An
 * invalid change is left out, so that it does not keep the other tags of the push from being published.
 */
function readRepositoryUpdate(body: unknown): Delivery {
  const parsed = repositoryUpdateSchema.safeParse(body);
  if (!parsed.success) return malformed(parsed.error);
  const { project_id, project } = parsed.data;
  const changes = parsed.data.changes.map((change) => changeSchema.safeParse(change));
  const valid = changes.flatMap(({ data }) => (data === undefined ? [] : [{ ...data, hint: data.after }]));
  const error = changes.find((change) => change.error !== undefined)?.error;
  if (error !== undefined && valid.length === 0) return malformed(error);
  return readChanges(project_id, project?.path_with_namespace, valid);
}

function readChanges(
  project: number,
  path: string | undefined,
  changes: readonly { ref: string; after: string; hint: string }[],
): Delivery {
  const tags = changes.filter((change) => change.ref.startsWith(TAG_PREFIX));
  if (tags.length === 0) return { kind: 'ignored', reason: 'no tag has changed' };
  const valid = tags.filter((change) => isTagName(change.ref.slice(TAG_PREFIX.length)));
  if (valid.length === 0) return { kind: 'malformed', reason: 'ref: not a valid tag name' };
  const present = valid.filter((change) => !/^0+$/.test(change.after));
  if (present.length === 0) return { kind: 'deleted', projectPath: path };
  // Many tags must not delay the single tags that other people push.
  const priority = present.length > MAX_TAGS_OF_A_PERSON ? 'listed' : 'pushed';
  const jobs = present
    .slice(0, MAX_QUEUED_TAGS)
    .map(({ ref, hint }) => pushedTag(project, ref.slice(TAG_PREFIX.length), hint, path, priority));
  return { kind: 'tags', jobs };
}

/** Whether the name after `refs/tags/` follows the rules of `git check-ref-format` and has at most 1,024 bytes. */
function isTagName(name: string): boolean {
  if (name === '' || Buffer.byteLength(name) > MAX_TAG_BYTES || !name.isWellFormed()) return false;
  if (/[\p{Cc} ~^:?*[\\]|\.\.|@\{|\.$/u.test(name)) return false;
  return name.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'));
}

function malformed(error: z.ZodError): Delivery {
  const reasons = error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  return { kind: 'malformed', reason: reasons.slice(0, MAX_REASONS).join('; ') };
}
