/**
 * The errors of an admin call. The message is one line for the caller: what is wrong, and what to do. It never contains
 * a token.
 */

/** 401: the token is missing or does not prove who the caller is. */
export class Unauthorized extends Error {
  override readonly name = 'Unauthorized';
}

/** 403: the caller is known, but may not make this call. */
export class Forbidden extends Error {
  override readonly name = 'Forbidden';
}

/** 503: the token cannot be checked at the moment. The reason is in `cause`, which is for the log and not for the caller. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}
