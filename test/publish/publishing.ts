import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import type { ModulePath } from '../../src/module/path.ts';
import type { Version } from '../../src/module/version.ts';
import { Ownership } from '../../src/resolve/ownership.ts';
import { memoryLock } from '../../src/redis/version-lock.ts';
import { MemoryRateLimiter } from '../../src/rate-limit/memory-rate-limiter.ts';
import { Publisher, type PublisherParts } from '../../src/publish/publisher.ts';
import { DiskStore } from '../../src/store/disk.ts';
import { moduleKey, type VersionFile } from '../../src/store/layout.ts';
import type { Store } from '../../src/store/store.ts';
import type { StandIn } from '../fake-gitlab/stand-in.ts';

/** A publisher of the tags of a fake GitLab, and its store. There is no queue. */
export interface Publishing {
  readonly publisher: Publisher;
  readonly store: Store;
  /** A file of a published version. Rejects if it does not exist. */
  read(path: string, version: string, file: VersionFile): Promise<Buffer>;
}

/**
 * Creates a publisher whose files are all in `folder`. It may request any number of archives unless `parts` sets a
 * limit.
 */
export async function startPublishing(
  gitlab: StandIn,
  folder: string,
  options: { modulePrefix: string; parts?: Partial<PublisherParts> },
): Promise<Publishing> {
  const temporaryRoot = join(folder, 'temporary');
  await mkdir(temporaryRoot, { recursive: true });
  const store = options.parts?.store ?? (await DiskStore.open(join(folder, 'store')));
  const publisher = new Publisher({
    gitlab: new GitLabClient({
      http: new HttpClient(),
      url: gitlab.url,
      token: gitlab.createToken({ scopes: ['read_api'] }),
      beforeCall: async () => undefined,
    }),
    ownership: new Ownership(options.modulePrefix),
    rateLimiter: new MemoryRateLimiter(),
    lock: memoryLock(),
    retag: 'refuse',
    temporaryRoot,
    archivesPerMinute: 1000,
    ...options.parts,
    store,
  });
  return {
    publisher,
    store,
    read: async (path, version, file) => {
      const key = moduleKey(path as ModulePath, version as Version, file);
      const bytes = await store.get(key);
      if (!bytes) throw new Error(`${key} is not in the store`);
      return bytes;
    },
  };
}
