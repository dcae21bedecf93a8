import { retryAfterSeconds } from '../http-client/retry-after.ts';

/**
 * The longest pause, in milliseconds. GitLab's rate limits count calls per minute or per hour, and maintenance can take
 * hours. One more call after a pause of this length does no harm.
 */
const MAX_PAUSE_MS = 10 * 60_000;

/**
 * Returns the rate-limit pause: for how many milliseconds GitLab allows no calls with the same token. 0 means no pause.
 *
 * A 429 of GitLab's limits for users and addresses (lib/gitlab/rack_attack.rb) has the headers RateLimit-Limit, -Name,
 * -Observed, -Remaining, -Reset, -ResetTime and Retry-After. Since GitLab 18.6, a feature flag adds the first five
 * headers to other responses too (lib/gitlab/middleware/rack_attack_headers.rb). In such a response, a
 * RateLimit-Remaining of 0 marks the last call before a 429.
 *
 * The archive limit is separate (Gitlab::ApplicationRateLimiter): it counts the archives of one project, and its 429
 * has none of these headers. If a proxy in between adds a Retry-After to this 429, the pause applies to that archive
 * only.
 */
export function rateLimitPauseMs({ status, headers }: Response, isArchive: boolean): number {
  const isUsedUp = headers.get('ratelimit-remaining') === '0';
  if (!isUsedUp && (status !== 429 || isArchive)) return 0;
  return retryAfterMs(headers) ?? untilResetMs(headers);
}

/** Returns Retry-After in milliseconds, at most 10 minutes; undefined if it is missing or invalid. */
export function retryAfterMs(headers: Headers): number | undefined {
  const seconds = retryAfterSeconds(headers);
  return seconds === undefined ? undefined : Math.min(MAX_PAUSE_MS, seconds * 1000);
}

/**
 * Returns the milliseconds until RateLimit-Reset, a time of GitLab's clock in seconds since 1970. The Date of the same
 * response comes from GitLab's clock too, while the local clock may differ.
 */
function untilResetMs(headers: Headers): number {
  const resetMs = Number(headers.get('ratelimit-reset') ?? Number.NaN) * 1000;
  const dateMs = Date.parse(headers.get('date') ?? '');
  const pauseMs = resetMs - (Number.isNaN(dateMs) ? Date.now() : dateMs);
  return Number.isFinite(pauseMs) ? Math.min(MAX_PAUSE_MS, Math.max(0, pauseMs)) : 0;
}
