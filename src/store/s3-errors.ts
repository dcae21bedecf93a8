import { S3Error } from 'minio';
import { messageOf } from '../errors.ts';

/** The advice for a missing bucket. */
export const NO_BUCKET = 'the bucket does not exist; create it';
const WRONG_KEY = 'the credentials are wrong; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';
const NOT_REACHED = 'the service cannot be reached; check S3_ENDPOINT, and that the service is running';
const WRONG_PLACE = 'the bucket has another address; check AWS_REGION and S3_ENDPOINT';

/** The advice to an operator, by the error code of S3 or of the system. */
const ADVICE: Readonly<Record<string, string>> = {
  NoSuchBucket: NO_BUCKET,
  InvalidAccessKeyId: WRONG_KEY,
  SignatureDoesNotMatch: WRONG_KEY,
  AccessDenied: 'access denied; the credentials need to list the bucket, and to get, put and delete objects in it',
  RequestTimeTooSkewed: 'the clocks differ too much; set the clock of this machine',
  AuthorizationHeaderMalformed: 'the bucket is in another region; check AWS_REGION',
  MovedPermanently: WRONG_PLACE,
  PermanentRedirect: WRONG_PLACE,
  XMinioStorageFull: 'the storage is full; free some space',
  ECONNREFUSED: NOT_REACHED,
  ENOTFOUND: NOT_REACHED,
  EHOSTUNREACH: NOT_REACHED,
};

/** S3's error codes for a problem with the requested object, not with the service. */
const ABOUT_THE_OBJECT: ReadonlySet<string> = new Set(['NoSuchKey', 'NotFound', 'InvalidRange']);

/** The error codes of the system for a connection that was lost while a request was sent. */
const LOST_CONNECTION: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);

/**
 * The service could not respond this time. For example, it was too busy, was restarting, or was down behind its load
 * balancer.
 */
export class TransientFailure extends Error {
  override readonly name = 'TransientFailure';
}

/** Returns the error code of S3 or of the system; an empty string if the error has no code. */
export function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

/** Returns whether the service works but reports a problem with the requested object. */
export function isAboutTheObject(error: unknown): error is S3Error {
  return error instanceof S3Error && ABOUT_THE_OBJECT.has(codeOf(error));
}

/** Returns whether the same request may succeed a moment later. */
export function isTransient(error: unknown): boolean {
  return error instanceof TransientFailure || LOST_CONNECTION.has(codeOf(error));
}

/** Returns the reason of a failure for an operator: the advice for its code, or else its code and message. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  const details = `${code} ${messageOf(error)}`.trim();
  return ADVICE[code] ?? (details === '' ? 'the response is not from an S3 service; check S3_ENDPOINT' : details);
}
