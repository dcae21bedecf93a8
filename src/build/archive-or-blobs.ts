import { Postponed } from '../errors.ts';
import { ErrorResponse } from '../gitlab/error-response.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';

/**
 * Decides whether bytes come from an archive or from single blobs. No other file makes this decision.
 *
 * An archive takes one call for all files, but GitLab allows only five archives a minute for each project. A blob takes
 * one call for one file, but it stays in the cache. A later version then needs only the blobs that changed. The
 * decisions are carried out in build-zip.ts, from-blobs.ts and commit-tree.ts.
 */

/**
 * Up to this number, missing blobs are fetched one by one. An archive would use up one of the five permits a minute.
 */
const FEW_BLOBS = 10;
/**
 * If more blobs than this are missing, fetching them at GitLab's usual rate limit takes longer than waiting for an
 * archive.
 */
const MANY_BLOBS = 1000;
/** GitLab's limit on archives for each project and user (reference: application limits, repository archives). */
const GITLAB_ARCHIVES_PER_MINUTE = 5;
/**
 * The window of the archive limit, in milliseconds. GitLab's window is one minute and begins with the first archive.
 * One more second allows for clock differences and slow networks.
 */
const ARCHIVE_WINDOW_MS = 61_000;

/** GitLab's limit on archives, which all processes share. */
export interface ArchiveLimit {
  readonly rateLimiter: RateLimiter;
  /** The number of archives a minute for each project. The default is GitLab's own limit. */
  readonly archivesPerMinute?: number | undefined;
}

/** The archive limit of the project is reached for the next `afterMs` milliseconds. */
export class ArchiveLimitReached extends Postponed {
  constructor({ archivesPerMinute = GITLAB_ARCHIVES_PER_MINUTE }: ArchiveLimit, afterMs: number) {
    super(`GitLab allows ${archivesPerMinute} archives a minute for a project`, { afterMs });
  }
}

/**
 * Reserves a permit for one archive of a project. Resolves to 0 if a permit was free, and otherwise to the time until
 * the next permit is free, in milliseconds.
 */
export async function reserveArchive(
  { rateLimiter, archivesPerMinute = GITLAB_ARCHIVES_PER_MINUTE }: ArchiveLimit,
  projectId: number,
): Promise<number> {
  return await rateLimiter.reserve(`archive:${projectId}`, archivesPerMinute, ARCHIVE_WINDOW_MS);
}

/**
 * Returns the wait in milliseconds if GitLab refused an archive although a permit was free. This happens if another
 * program uses the same token, or if Redis lost the count. Returns undefined for every other error.
 */
export function archiveRefusedMs(error: unknown): number | undefined {
  return error instanceof ErrorResponse && error.status === 429 ? error.afterMs : undefined;
}

/** The source from which missing blobs are loaded into the cache. */
export type BlobSource =
  | { readonly from: 'single blobs' }
  | { readonly from: 'archive' }
  | { readonly from: 'later archive'; readonly waitMs: number };

/**
 * Decides from where missing blobs are loaded into the cache. `missing` is their number. `reserve` reserves a permit
 * for an archive, as `reserveArchive` does.
 */
export async function chooseBlobSource(missing: number, reserve: () => Promise<number>): Promise<BlobSource> {
  if (missing <= FEW_BLOBS) return { from: 'single blobs' };
  const waitMs = await reserve();
  return waitMs === 0 ? { from: 'archive' } : { from: 'later archive', waitMs };
}

/** Whether waiting for an archive takes less time than fetching `missing` blobs one by one. */
export function isArchiveQuicker(missing: number): boolean {
  return missing > MANY_BLOBS;
}
