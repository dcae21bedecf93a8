import type { Readable } from 'node:stream';
import type { ByteRange, OpenObject, StoredObject } from '../store/store.ts';
import type { ModuleRequest } from './protocol-request.ts';

/**
 * A source of modules. The router has one source for private modules and another for external modules. Filters and
 * publishing on demand are sources that wrap another source.
 *
 * Resolves to an answer if the request succeeds. Otherwise rejects with one of the errors below or StoreUnavailable.
 */
export interface ModuleSource {
  /** `access` is `stat` by default. */
  answer(request: ModuleRequest, access?: FileAccess): Promise<Answer>;
}

/**
 * How to read a file that the store has to stream, which is a zip. `open` opens the whole file; its size and time come
 * with it. `stat` reads only the size and time.
 */
export type FileAccess = 'open' | 'stat';

/** A success. `immutable` content never changes under its URL. `stale` content is the last known content, and may have changed. */
export type Answer = BytesAnswer | StoredAnswer | StreamAnswer | RedirectAnswer;

/** Content in memory. */
export interface BytesAnswer {
  readonly kind: 'bytes';
  readonly body: Buffer;
  readonly immutable: boolean;
  readonly stale?: boolean;
}

/**
 * Content in a store. After `open` access, `object` includes the body, which the caller consumes or destroys.
 * `openRange` reads a part of the object, or all of it; it resolves to undefined if the object has been removed.
 */
export interface StoredAnswer {
  readonly kind: 'stored';
  readonly object: StoredObject | OpenObject;
  readonly immutable: boolean;
  openRange(range?: ByteRange): Promise<OpenObject | undefined>;
}

/**
 * Content that is still being downloaded. The caller consumes or destroys `body`. `size` is in bytes, if it is known.
 */
export interface StreamAnswer {
  readonly kind: 'stream';
  readonly body: Readable;
  readonly size: number | undefined;
  readonly immutable: boolean;
}

/** The client finds the content at another URL. */
export interface RedirectAnswer {
  readonly kind: 'redirect';
  readonly url: string;
}

/**
 * 404: as far as the service can tell, the module or version does not exist. The go command tries its next proxy. The
 * developer reads the message.
 */
export class NotFound extends Error {
  override readonly name: string = 'NotFound';
}

/** 410: the version existed and was withdrawn. The developer reads the message. */
export class Gone extends NotFound {
  override readonly name: string = 'Gone';
}

/** 403: the request is refused by a rule, and the go command stops. The developer reads the message. */
export class Forbidden extends Error {
  override readonly name = 'Forbidden';
}

/** 502 or 504: the upstream proxy sent no usable response. The developer reads the message; the details are in `cause`. */
export class UpstreamFailed extends Error {
  override readonly name = 'UpstreamFailed';
  /** Whether a time-out expired. Otherwise the response was wrong, or the server could not be reached. */
  readonly timedOut: boolean;
  /** The `Retry-After` of the upstream proxy, in seconds. */
  readonly retryAfter: number | undefined;

  constructor(message: string, options: { timedOut?: boolean; retryAfter?: number; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.timedOut = options.timedOut ?? false;
    this.retryAfter = options.retryAfter;
  }
}

/**
 * 503 or 504: the module or version may exist, but at the moment the service cannot find out, or cannot deliver it. The
 * developer reads the message.
 */
export class TryAgainLater extends Error {
  override readonly name = 'TryAgainLater';
  /** Whether a time-out expired. Otherwise it was clear from the start that waiting would not help. */
  readonly timedOut: boolean;
  /** When to try again, in seconds. */
  readonly retryAfter: number;

  constructor(message: string, options: { timedOut: boolean; retryAfter: number; cause?: unknown }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.timedOut = options.timedOut;
    this.retryAfter = options.retryAfter;
  }
}

/** The subject of a request for use in a message: `module` or `module@version`. */
export function describe(request: ModuleRequest): string {
  return request.kind === 'file' ? `${request.module}@${request.version}` : request.module;
}
