import { expect, test } from 'vitest';
import { CallRetryPolicy, NoResponse } from '../../src/gitlab/call-retry-policy.ts';
import { ErrorResponse } from '../../src/gitlab/error-response.ts';

const READ = { isRead: true, isArchive: false };
const ARCHIVE = { isRead: true, isArchive: true };
const WRITE = { isRead: false, isArchive: false };

function failed(status: number, retryAfterMs?: number): ErrorResponse {
  return new ErrorResponse({ status, text: '', retryAfterMs }, `GitLab answered ${status}`, retryAfterMs ?? 60_000);
}

/** Returns the wait after each of these consecutive failures, in ms. */
function waits(call: typeof READ, failures: readonly unknown[]): (number | undefined)[] {
  const policy = new CallRetryPolicy(call);
  return failures.map((error) => policy.waitAfter(error));
}

test.each([
  ['no response', new NoResponse('tags', new Error('refused'))],
  ['a 500', failed(500)],
  ['a 502', failed(502)],
  ['a 503', failed(503, 7_000)],
  ['a 504', failed(504)],
])('the retry policy of a call retries a read twice after %s', (_, error) => {
  expect(waits(READ, [error, error, error])).toEqual([300, 1500, undefined]);
  expect(waits(ARCHIVE, [error, error, error])).toEqual([300, 1500, undefined]);
});

test('the retry policy of a call waits for a rate limit five times, and for two outages in between', () => {
  const limit = failed(429, 120_000);
  const outage = failed(503);
  expect(waits(READ, [limit, limit, outage, limit, limit, limit, outage, limit])).toEqual([
    120_000,
    120_000,
    300,
    120_000,
    120_000,
    120_000,
    1500,
    undefined,
  ]);
});

test.each([
  ['a rate limit of more than two minutes', READ, failed(429, 120_001)],
  ['a rate limit without Retry-After', READ, failed(429)],
  ['a rate limit for an archive', ARCHIVE, failed(429, 1_000)],
  ['a rate limit for a write', WRITE, failed(429, 1_000)],
  ['an outage during a write', WRITE, failed(503)],
  ['a write without response', WRITE, new NoResponse('hooks', new Error('refused'))],
  ['a refused token', READ, failed(401)],
  ['a missing role', READ, failed(403)],
  ['any other status', READ, failed(501)],
  ['any other error', READ, new Error('Redis is down')],
])('the retry policy of a call gives up at once after %s', (_, call, error) => {
  expect(waits(call, [error])).toEqual([undefined]);
});
