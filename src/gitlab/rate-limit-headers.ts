/** A window is a minute or an hour, a maintenance one of hours; whoever waited this long may as well ask again. */
const LONGEST_REST_MS = 10 * 60_000;

/**
 * How long GitLab wants no further calls with the same token, in milliseconds; 0 where it does not say so.
 *
 * GitLab's limits for users and addresses (lib/gitlab/rack_attack.rb) put RateLimit-Limit, -Name, -Observed, -Remaining,
 * -Reset, -ResetTime and Retry-After on a 429. Since 18.6 the first five come with other answers as well (lib/gitlab/
 * middleware/rack_attack_headers.rb), behind a feature flag: there, 0 remaining is the last call before a 429.
 * The archive limit is another one (Gitlab::ApplicationRateLimiter), for one project, and its 429 has none of them: a
 * Retry-After that something on the way adds to it is for that archive alone.
 */
export function restMs({ status, headers }: Response, isArchive: boolean): number {
  const isUsedUp = headers.get('ratelimit-remaining') === '0';
  if (!isUsedUp && (status !== 429 || isArchive)) return 0;
  return retryAfterMs(headers) ?? untilResetMs(headers);
}

/** The milliseconds of Retry-After, which GitLab gives in seconds; at most 10 minutes. */
export function retryAfterMs(headers: Headers): number | undefined {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(LONGEST_REST_MS, Math.ceil(seconds * 1000)) : undefined;
}

/** RateLimit-Reset is a time of GitLab's clock, in seconds since 1970, so the Date of the same answer is better than ours. */
function untilResetMs(headers: Headers): number {
  const reset = Number(headers.get('ratelimit-reset') ?? Number.NaN) * 1000;
  const date = Date.parse(headers.get('date') ?? '');
  const rest = reset - (Number.isNaN(date) ? Date.now() : date);
  return Number.isFinite(rest) ? Math.min(LONGEST_REST_MS, Math.max(0, rest)) : 0;
}
