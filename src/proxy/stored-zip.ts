import { pipeline, Transform } from 'node:stream';
import { StoreUnavailable, type OpenObject, type ReadStore } from '../store/store.ts';
import type { FileAccess, StoredAnswer } from './module-source.ts';
import { directoryOf, MAX_END_BYTES } from './zip-end.ts';

/**
 * Finds a zip in the store. Resolves to its answer, or to undefined if it is missing. The body of a whole zip fails
 * with StoreUnavailable before its end if the store returns something else, and `onDamaged` is then called. Rejects
 * with errors of the store.
 */
export async function findZip(
  store: Pick<ReadStore, FileAccess>,
  key: string,
  access: FileAccess,
  onDamaged?: () => void,
): Promise<StoredAnswer | undefined> {
  const damaged = (): Error => {
    onDamaged?.();
    return new StoreUnavailable(`the store returned something else than a whole zip as ${key}`);
  };
  const openRange: StoredAnswer['openRange'] = async (range) => {
    const object = await store.open(key, range);
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
