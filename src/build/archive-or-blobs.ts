import { Retry } from '../errors.ts';
import { ErrorResponse } from '../gitlab/error-response.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';

/**
 * The one place that decides whether bytes come from an archive or from single blobs.
 *
 * An archive is one call for all files, but GitLab allows five a minute for a project. A blob is one call for one file, and
 * is kept: a later version needs only the blobs that changed. build-zip.ts and commit-tree.ts carry the decisions out.
 */

/** Up to this many missing blobs are fetched one by one: an archive is not worth one of its five permits. */
const FEW_BLOBS = 10;
/** Fetching more missing blobs than this, at GitLab's usual limit of calls, takes longer than waiting for an archive. */
const MANY_BLOBS = 1000;
/** GitLab's limit for each project and user (reference: application limits, repository archives). */
const GITLAB_ARCHIVES_PER_MINUTE = 5;
/**
 * GitLab counts archives in a window of a minute from the first one. One more second allows for different clocks and slow
 * networks.
 */
const ARCHIVE_WINDOW_MS = 61_000;

/** GitLab's limit for archives, which all processes share. */
export interface ArchiveLimit {
  readonly rateLimiter: RateLimiter;
  /** Archives a minute for each project; GitLab's own limit by default. */
  readonly archivesPerMinute?: number | undefined;
}

/** GitLab gives no archive of the project for the next `afterMs` milliseconds. The message may be shown to developers. */
export class ArchiveLimitReached extends Retry {
  constructor({ archivesPerMinute = GITLAB_ARCHIVES_PER_MINUTE }: ArchiveLimit, afterMs: number) {
    super(`GitLab allows ${archivesPerMinute} archives a minute for a project`, { afterMs });
  }
}

/** Takes a permit for one archive of a project. Resolves to 0, or to the milliseconds until the next one is free. */
export async function reserveArchive(
  { rateLimiter, archivesPerMinute = GITLAB_ARCHIVES_PER_MINUTE }: ArchiveLimit,
  projectId: number,
): Promise<number> {
  return await rateLimiter.reserve(`archive:${projectId}`, archivesPerMinute, ARCHIVE_WINDOW_MS);
}

/**
 * The wait in milliseconds if GitLab refused an archive although a permit was left: another program uses the token, or Redis
 * lost the count. Undefined for every other error.
 */
export function archiveRefusedMs(error: unknown): number | undefined {
  return error instanceof ErrorResponse && error.status === 429 ? error.afterMs : undefined;
}

/** How missing blobs get into the cache. */
export type BlobSource =
  | { readonly from: 'single blobs' }
  | { readonly from: 'archive' }
  | { readonly from: 'later archive'; readonly waitMs: number };

/**
 * Decides how the missing blobs, whose number is `missing`, get into the cache. `reserve` takes a permit for an archive
 * (see reserveArchive).
 */
export async function chooseBlobSource(missing: number, reserve: () => Promise<number>): Promise<BlobSource> {
  if (missing <= FEW_BLOBS) return { from: 'single blobs' };
  const waitMs = await reserve();
  return waitMs === 0 ? { from: 'archive' } : { from: 'later archive', waitMs };
}

/** Whether waiting for an archive is quicker than fetching `missing` blobs one by one. */
export function isArchiveQuicker(missing: number): boolean {
  return missing > MANY_BLOBS;
}
