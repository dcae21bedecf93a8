import { checkKey, isKey } from './key.ts';
import type { ByteRange, OpenObject, PutStream, Store, StoredObject } from './store.ts';

/**
 * The only writing the proxy may do: copies of what other servers gave, below one prefix of the store, which anyone
 * may delete at any time. Keys are relative to that prefix, so nothing else can be reached. Promises and errors are
 * those of the store.
 */
export interface Cache {
  get(key: string): Promise<Buffer | undefined>;
  stat(key: string): Promise<StoredObject | undefined>;
  open(key: string, range?: ByteRange): Promise<OpenObject | undefined>;
  put(key: string, body: Buffer | PutStream): Promise<void>;
}

/** The part of the store below `prefix` as a cache. A key that is none rejects with TypeError before it is prefixed. */
export function createCache(store: Pick<Store, keyof Cache>, prefix: 'upstream/' | 'sumdb/'): Cache {
  const below = (key: string): string => {
    checkKey(key);
    return `${prefix}${key}`;
  };
  return {
    get: async (key) => await store.get(below(key)),
    async stat(key) {
      const object = await store.stat(below(key));
      return object && { ...object, key };
    },
    async open(key, range) {
      const object = await store.open(below(key), range);
      return object && { ...object, key };
    },
    async put(key, body) {
      if (!isKey(key) && !Buffer.isBuffer(body)) body.stream.destroy();
      await store.put(below(key), body);
    },
  };
}
