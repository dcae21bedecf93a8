import { Retry } from '../errors.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';

/** Who shares GitLab's limit for archives. */
export interface ArchiveLimit {
  readonly rateLimiter: RateLimiter;
  /** For each project, over all replicas; GitLab's own limit unless given. */
  readonly archivesPerMinute?: number | undefined;
}

/** GitLab's limit for each project and user (reference: application limits, repository archives). */
const GITLAB_ARCHIVES_PER_MINUTE = 5;
/** GitLab counts archives by the minute from the first; a second more lets clocks and networks differ. */
const ARCHIVE_WINDOW_MS = 61_000;

/** Takes one of a project's archives: 0 if it may be asked for, else the milliseconds until there may be one. */
export async function reserveArchive(
  { rateLimiter, archivesPerMinute = GITLAB_ARCHIVES_PER_MINUTE }: ArchiveLimit,
  projectId: number,
): Promise<number> {
  return await rateLimiter.reserve(`archive:${projectId}`, archivesPerMinute, ARCHIVE_WINDOW_MS);
}

/** The failure of what cannot be done without an archive now. */
export function archiveLater({ archivesPerMinute = GITLAB_ARCHIVES_PER_MINUTE }: ArchiveLimit, afterMs: number): Retry {
  return new Retry(`GitLab allows ${archivesPerMinute} archives a minute for a project`, { afterMs });
}
