/**
 * The errors of an admin call. Each message is one line that tells the caller what is wrong and what to do. It never
 * contains a token.
 */

/** 401: the token is missing or does not identify the caller. */
export class Unauthorized extends Error {
  override readonly name = 'Unauthorized';
}

/** 403: the caller is identified, but may not make this call. */
export class Forbidden extends Error {
  override readonly name = 'Forbidden';
}

/** 503: the token cannot be checked now. The reason is in `cause`, which is for the log and not for the caller. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}
