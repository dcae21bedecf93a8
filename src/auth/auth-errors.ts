/**
 * What an admin call can be turned away with. The message is one line for the caller: what is wrong and what to do.
 * It never holds a token.
 */

/** 401: no token, or none that proves who is calling. */
export class Unauthorized extends Error {
  override readonly name = 'Unauthorized';
}

/** 403: it is known who is calling, and they may not. */
export class Forbidden extends Error {
  override readonly name = 'Forbidden';
}

/** 503: nobody can say who is calling, for now. The reason is the `cause`: for the log, not for the caller. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}
