import { pipeline, Transform } from 'node:stream';
import type { ConcurrencyLimit } from '../async/concurrency-limit.ts';
import { StoreUnavailable, type ByteRange, type OpenObject, type ReadStore } from '../store/store.ts';
import { TryAgainLater, type FileAccess, type StoredAnswer } from './module-source.ts';
import { directoryOf, MAX_END_BYTES } from './zip-end.ts';

/** The seconds after which a client should try again if too many zips are open or downloaded. */
export const RETRY_AFTER_SECONDS = 10;

/**
 * Opens the zip, or a range of it, as the store does. Waits for a place in `limit` and keeps it until the body is
 * closed, because each open zip needs a file descriptor or a connection. Rejects with TryAgainLater if no place becomes
 * free, and with errors of the store.
 */
export async function openZip(
  store: Pick<ReadStore, 'open'>,
  key: string,
  limit: ConcurrencyLimit,
  range?: ByteRange,
): Promise<OpenObject | undefined> {
  const release = await limit.acquire();
  if (!release)
    throw new TryAgainLater('modpress sends too many zips at the moment\nTry again in a moment.', {
      timedOut: false,
      retryAfter: RETRY_AFTER_SECONDS,
    });
  let object: OpenObject | undefined;
  try {
    object = await store.open(key, range);
    return object;
  } finally {
    if (object) object.body.once('close', release);
    else release();
  }
}

/**
 * Finds a zip in the store. Resolves to its answer, or to undefined if it is missing. The body of a whole zip fails
 * with StoreUnavailable before its end if the store returns something else, and `onDamaged` is then called. Rejects
 * as `openZip` does.
 */
export async function findZip(
  store: Pick<ReadStore, FileAccess>,
  key: string,
  access: FileAccess,
  { limit, onDamaged }: { readonly limit: ConcurrencyLimit; readonly onDamaged?: () => void },
): Promise<StoredAnswer | undefined> {
  const damaged = (): Error => {
    onDamaged?.();
    return new StoreUnavailable(`the store returned something else than a whole zip as ${key}`);
  };
  const openRange: StoredAnswer['openRange'] = async (range) => {
    const object = await openZip(store, key, limit, range);
    return object && range === undefined ? checkedZip(object, damaged) : object;
  };
  const object = access === 'open' ? await openRange() : await store.stat(key);
  return object && { kind: 'stored', object, immutable: true, openRange };
}

/**
 * Returns a stored zip whose body fails before its end if the store returns something else than a zip of this size,
 * such as a page in HTML or the first half of the zip. The body fails with the error that `damaged` returns. A client
 * and a cache in front of the service then notice that the response is incomplete.
 */
function checkedZip(object: OpenObject, damaged: () => Error): OpenObject {
  const { size } = object;
  const end: Buffer[] = [];
  let passed = 0;
  let held = 0;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (passed === 0 && held === 0 && !startsLikeZip(chunk)) return done(damaged());
      if (held === 0 && passed + chunk.length <= size - MAX_END_BYTES) {
        passed += chunk.length;
        return done(null, chunk);
      }
      end.push(chunk);
      held += chunk.length;
      return passed + held > size ? done(damaged()) : done();
    },
    flush(done) {
      const tail = Buffer.concat(end);
      if (passed + held === size && directoryOf(tail, size)) done(null, tail);
      else done(damaged());
    },
  });
  // If one of the two streams fails or is destroyed, pipeline destroys the other one, and the reader gets the error.
  return { ...object, body: pipeline(object.body, check, () => undefined) };
}

/** Whether the bytes begin like a zip, as far as they go. A zip without files consists only of its end. */
function startsLikeZip(bytes: Buffer): boolean {
  const start = bytes.toString('latin1', 0, 4);
  return 'PK\u0003\u0004'.startsWith(start) || 'PK\u0005\u0006'.startsWith(start);
}
