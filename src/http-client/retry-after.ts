/** A date as HTTP servers send it (IMF-fixdate, RFC 9110, section 5.6.7). */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * Returns how long a server asks its clients to wait, in seconds: the header Retry-After, which is a number of seconds
 * or a date (RFC 9110, section 10.2.3). Returns undefined if the header is missing, has another form, or names a date
 * in the past. A date is compared with the clock of the server, if the response has a Date.
 */
export function retryAfterSeconds(headers: Headers): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^[0-9]{1,9}$/.test(value)) return Number(value);
  if (!HTTP_DATE.test(value)) return undefined;
  const now = Date.parse(headers.get('date') ?? '');
  const seconds = Math.ceil((Date.parse(value) - (Number.isNaN(now) ? Date.now() : now)) / 1000);
  return seconds > 0 ? seconds : undefined;
}
