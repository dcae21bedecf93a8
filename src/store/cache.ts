import { checkKey, isKey } from './key.ts';
import type { SUMDB_PREFIX, UPSTREAM_PREFIX } from './layout.ts';
import type { ByteRange, OpenObject, PutStream, Store, StoredObject } from './store.ts';

/**
 * The only part of the store that the proxy may write. It contains copies of other servers' responses below one prefix,
 * which may be deleted at any time. Keys are relative to the prefix, so the proxy cannot reach other objects. The
 * guarantees and errors are those of Store.
 */
export interface Cache {
  get(key: string): Promise<Buffer | undefined>;
  stat(key: string): Promise<StoredObject | undefined>;
  open(key: string, range?: ByteRange): Promise<OpenObject | undefined>;
  put(key: string, body: Buffer | PutStream): Promise<void>;
}

/**
 * Creates a cache on the part of the store below `prefix`. A method rejects with TypeError if the key is invalid before
 * the prefix is added.
 */
export function createCache(
  store: Pick<Store, keyof Cache>,
  prefix: typeof UPSTREAM_PREFIX | typeof SUMDB_PREFIX,
): Cache {
  const fullKey = (key: string): string => {
    checkKey(key);
    return `${prefix}${key}`;
  };
  return {
    get: async (key) => await store.get(fullKey(key)),
    async stat(key) {
      const object = await store.stat(fullKey(key));
      return object && { ...object, key };
    },
    async open(key, range) {
      const object = await store.open(fullKey(key), range);
      return object && { ...object, key };
    },
    async put(key, body) {
      if (!isKey(key) && !Buffer.isBuffer(body)) body.stream.destroy();
      await store.put(fullKey(key), body);
    },
  };
}
