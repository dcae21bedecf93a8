import { isUntrusted } from '../http-client/untrusted-certificate.ts';
import type { RedisLocation } from './location.ts';

/**
 * Redis cannot be used until an operator changes a setting of modpress or of Redis. The message says what to change.
 * Every other failure of Redis is an outage.
 */
export class WrongRedisSettings extends Error {
  override readonly name = 'WrongRedisSettings';
}

/** What an operator must do if Redis responds with this error, and the kinds of locations for which this is true. */
interface Advice {
  readonly error: RegExp;
  readonly kinds?: readonly RedisLocation['kind'][];
  readonly text: string;
}

/** The advice for a server that is a node of a cluster, although REDIS_URL is not the URL of a cluster. */
export const USE_CLUSTER_URL =
  'this Redis is a node of a cluster: begin REDIS_URL with redis+cluster://, or with rediss+cluster:// for TLS';
/** The advice for a server that is a Sentinel, although REDIS_URL is not the URL of a Sentinel. */
export const USE_SENTINEL_URL =
  'this Redis is a Sentinel: begin REDIS_URL with redis+sentinel://, or with rediss+sentinel:// for TLS, and end it with the name of the primary';
/** The advice for a server that is a replica. Behind a Sentinel or in a cluster, a failover is in progress instead. */
export const USE_PRIMARY = 'this Redis is a replica: REDIS_URL must lead to the primary';

const ADVICE: readonly Advice[] = [
  { error: /\b(?:MOVED|CROSSSLOT) /, kinds: ['server', 'sentinel'], text: USE_CLUSTER_URL },
  { error: /\bREADONLY /, kinds: ['server'], text: USE_PRIMARY },
  {
    error: /\b(?:NOAUTH|WRONGPASS) |invalid password/,
    text: 'the password is wrong or missing: check the passwords in REDIS_URL',
  },
  {
    // Redis 7.0 and older describe a command of a script with the second text.
    error: /\bNOPERM |The user executing the script can't/,
    text: 'the user in REDIS_URL lacks a permission: allow the commands, keys and channels of docs/operations/redis.md',
  },
  {
    error: /unknown command .?SENTINEL/i,
    text: 'this Redis is not a Sentinel: the hosts in REDIS_URL must be Sentinels',
  },
  { error: /unknown command/i, text: 'Redis does not know a command of docs/operations/redis.md: enable the command' },
];

/** The advice for the codes of other TLS errors. */
const TLS_ADVICE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate of Redis has expired: replace it',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'the certificate of Redis is for other names: it must contain every host of REDIS_URL, and every address that a Sentinel or a cluster announces',
};

/** Returns a WrongRedisSettings if an operator must act before Redis can be used. Otherwise returns the error. */
export function asWrongSettings(error: Error, kind: RedisLocation['kind']): Error {
  if (error instanceof WrongRedisSettings) return error;
  const text = tlsAdvice(error) ?? replyAdvice(error.message, kind);
  return text === undefined ? error : new WrongRedisSettings(text, { cause: error });
}

function tlsAdvice(error: Error): string | undefined {
  return isUntrusted(error)
    ? 'the certificate of Redis is not trusted: set CA_FILE to a PEM file that contains the certificate of its CA'
    : TLS_ADVICE['code' in error ? String(error.code) : ''];
}

function replyAdvice(message: string, kind: RedisLocation['kind']): string | undefined {
  return ADVICE.find(({ error, kinds }) => error.test(message) && (kinds?.includes(kind) ?? true))?.text;
}
