import type { Readable } from 'node:stream';
import type { ByteRange, OpenObject, StoredObject } from '../store/store.ts';
import type { Client } from './client.ts';
import type { ModuleRequest } from './protocol-request.ts';

/**
 * A source of modules. The router uses one source for private modules and another for external modules. A source may
 * wrap another source, as OnDemandModules does.
 */
export interface ModuleSource {
  /**
   * Resolves to an answer if the request succeeds. Otherwise rejects with StoreUnavailable or an error of this file.
   * Rejects with ClientLeft if the client has left before.
   */
  answer(request: ModuleRequest, access?: FileAccess, client?: Client): Promise<Answer>;
}

/**
 * How to read a zip, which is the only file that modpress streams from the store. `open` opens the zip and also returns
 * its size and time. `stat` returns only the size and time, and is the default.
 */
export type FileAccess = 'open' | 'stat';

/**
 * The answer to a successful request. `immutable` content never changes under its URL. `stale` content is the last
 * known content and may be outdated.
 */
export type Answer = BytesAnswer | StoredAnswer | StreamAnswer | RedirectAnswer;

/** Content in memory. */
export interface BytesAnswer {
  readonly kind: 'bytes';
  readonly body: Buffer;
  readonly immutable: boolean;
  readonly stale?: boolean;
}

/**
 * Content in a store. After `open` access, `object` includes the body, which the caller must consume or destroy.
 * `openRange` opens a range of the object, or the whole object without a range. It resolves to undefined if the object
 * has been removed.
 */
export interface StoredAnswer {
  readonly kind: 'stored';
  readonly object: StoredObject | OpenObject;
  readonly immutable: boolean;
  openRange(range?: ByteRange): Promise<OpenObject | undefined>;
}

/**
 * Content that is still being downloaded. The caller must consume or destroy `body`. `size` is in bytes; undefined if
 * it is unknown.
 */
export interface StreamAnswer {
  readonly kind: 'stream';
  readonly body: Readable;
  readonly size: number | undefined;
  readonly immutable: boolean;
}

/** A redirect to another URL. */
export interface RedirectAnswer {
  readonly kind: 'redirect';
  readonly url: string;
}

/**
 * Status 404: the module or version does not exist, as far as modpress can determine. The go command tries its next
 * proxy. The developer sees the message.
 */
export class NotFound extends Error {
  override readonly name: string = 'NotFound';
}

/** Status 410: the version existed and was withdrawn. The developer sees the message. */
export class Gone extends NotFound {
  override readonly name: string = 'Gone';
}

/** Status 403: a rule forbids the request, and the go command stops. The developer sees the message. */
export class Forbidden extends Error {
  override readonly name = 'Forbidden';
}

/** Status 502 or 504: the upstream proxy sent no usable response. The developer sees the message, but not `cause`. */
export class UpstreamFailed extends Error {
  override readonly name = 'UpstreamFailed';
  /** Whether a timeout expired. If false, the response was invalid or the server could not be reached. */
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
 * Status 503 or 504: the module or version may exist, but modpress currently cannot find or deliver it. The developer
 * sees the message.
 */
export class TryAgainLater extends Error {
  override readonly name = 'TryAgainLater';
  /** Whether a timeout expired. If false, waiting would not have helped. */
  readonly timedOut: boolean;
  /** How long the client should wait before it tries again, in seconds. */
  readonly retryAfter: number;

  constructor(message: string, options: { timedOut: boolean; retryAfter: number; cause?: unknown }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.timedOut = options.timedOut;
    this.retryAfter = options.retryAfter;
  }
}

/** Returns the subject of a request for messages: `module` or `module@version`. */
export function describe(request: ModuleRequest): string {
  return request.kind === 'file' ? `${request.module}@${request.version}` : request.module;
}
