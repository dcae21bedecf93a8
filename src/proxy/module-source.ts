import type { Readable } from 'node:stream';
import type { ByteRange, OpenObject, StoredObject } from '../store/store.ts';
import type { ModuleRequest } from './request.ts';

/**
 * Where modules come from. The router asks one source for private paths and another for all the rest; filters and
 * publishing on demand are sources around a source.
 *
 * What there is to say is returned; what is wrong is thrown, as one of the errors below or as StoreUnavailable.
 */
export interface ModuleSource {
  answer(request: ModuleRequest): Promise<Answer>;
}

/** A success. `immutable` content never changes under its URL; `stale` content is the last known of something that does. */
export type Answer = BytesAnswer | StoredAnswer | StreamAnswer | RedirectAnswer;

/** Content in memory. */
export interface BytesAnswer {
  readonly kind: 'bytes';
  readonly body: Buffer;
  readonly immutable: boolean;
  readonly stale?: boolean;
}

/** Content in a store, which can be read in part. `open` gives undefined if the object has vanished since. */
export interface StoredAnswer {
  readonly kind: 'stored';
  readonly object: StoredObject;
  readonly immutable: boolean;
  open(range?: ByteRange): Promise<OpenObject | undefined>;
}

/** Content that is still arriving. Whoever gets it consumes or destroys `body`. `size` in bytes, where it is known already. */
export interface StreamAnswer {
  readonly kind: 'stream';
  readonly body: Readable;
  readonly size: number | undefined;
  readonly immutable: boolean;
}

/** The content is elsewhere. */
export interface RedirectAnswer {
  readonly kind: 'redirect';
  readonly url: string;
}

/** It does not exist, as far as can be known: the go command asks its next proxy. The message is shown to the developer. */
export class NotFound extends Error {
  override readonly name: string = 'NotFound';
}

/** It existed and was taken out of service. The message is shown to the developer. */
export class Gone extends NotFound {
  override readonly name: string = 'Gone';
}

/** It is refused on purpose: the go command stops here. The message is shown to the developer. */
export class Forbidden extends Error {
  override readonly name = 'Forbidden';
}

/** The upstream proxy gave no usable answer. The message is shown to the developer; the details are in `cause`. */
export class UpstreamFailed extends Error {
  override readonly name = 'UpstreamFailed';
  /** Whether it was too slow, rather than wrong or unreachable. */
  readonly timedOut: boolean;
  /** The wait that it asked for, in seconds. */
  readonly retryAfter: number | undefined;

  constructor(message: string, options: { timedOut?: boolean; retryAfter?: number; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.timedOut = options.timedOut ?? false;
    this.retryAfter = options.retryAfter;
  }
}

/** It may exist, but that cannot be told, or it cannot be given, right now. The message is shown to the developer. */
export class NotYet extends Error {
  override readonly name = 'NotYet';
  /** Whether it was waited for in vain, rather than known that waiting is of no use. */
  readonly timedOut: boolean;
  /** When to ask again, in seconds. */
  readonly retryAfter: number;

  constructor(message: string, options: { timedOut: boolean; retryAfter: number; cause?: unknown }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.timedOut = options.timedOut;
    this.retryAfter = options.retryAfter;
  }
}

/** How a message names what was asked for: `module` or `module@version`. */
export function describe(request: ModuleRequest): string {
  return request.kind === 'file' ? `${request.module}@${request.version}` : request.module;
}
