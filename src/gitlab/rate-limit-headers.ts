/**
 * The longest pause, in milliseconds. GitLab's rate-limit windows are a minute or an hour, and maintenance can take
 * hours. After a pause of this length, one more call does no harm.
 */
const MAX_PAUSE_MS = 10 * 60_000;

/**
 * The rate-limit pause: for how many milliseconds GitLab wants no more calls with the same token; 0 for no pause.
 *
 * A 429 of GitLab's limits for users and addresses (lib/gitlab/rack_attack.rb) has RateLimit-Limit, -Name, -Observed,
 * -Remaining, -Reset, -ResetTime and Retry-After. Since 18.6 the first five come with other responses as well (lib/gitlab/
 * middleware/rack_attack_headers.rb), behind a feature flag. There, 0 remaining marks the last call before a 429. The
 * archive limit is separate (Gitlab::ApplicationRateLimiter): it counts one project, and its 429 has none of these
 * headers. If a proxy in between adds a Retry-After, it applies to that archive alone.
 */
export function rateLimitPauseMs({ status, headers }: Response, isArchive: boolean): number {
  const isUsedUp = headers.get('ratelimit-remaining') === '0';
  if (!isUsedUp && (status !== 429 || isArchive)) return 0;
  return retryAfterMs(headers) ?? untilResetMs(headers);
}

/**
 * Retry-After in milliseconds (GitLab sends seconds), at most 10 minutes; undefined if it is missing or not a number.
 */
export function retryAfterMs(headers: Headers): number | undefined {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(MAX_PAUSE_MS, Math.ceil(seconds * 1000)) : undefined;
}

/**
 * RateLimit-Reset is a time of GitLab's clock, in seconds since 1970. The Date of the same response comes from that
 * clock too, while our clock may differ.
 */
function untilResetMs(headers: Headers): number {
  const resetMs = Number(headers.get('ratelimit-reset') ?? Number.NaN) * 1000;
  const dateMs = Date.parse(headers.get('date') ?? '');
  const pauseMs = resetMs - (Number.isNaN(dateMs) ? Date.now() : dateMs);
  return Number.isFinite(pauseMs) ? Math.min(MAX_PAUSE_MS, Math.max(0, pauseMs)) : 0;
}
