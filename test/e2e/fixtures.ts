import { test as base } from '../fake-gitlab/fixtures.ts';
import { startMinio } from '../services/minio.ts';
import { startRedis } from '../services/redis.ts';
import { startInProcess } from './in-process.ts';
import { openOffice } from './office.ts';
import { startService } from './service.ts';
import type { Role } from '../../src/config/service.ts';

/** The settings that differ from those of the office. */
type Settings = Readonly<Record<string, string>>;

/** Tests of the whole of modpress, with what it needs. Each fixture is started when a test or a hook first asks for it. */
export const test = base
  /** A fake GitLab with folders and settings, for the file. */
  .extend('office', { scope: 'file' }, async ({ gitlabOptions }, { onCleanup }) => {
    const office = await openOffice(gitlabOptions);
    onCleanup(() => office[Symbol.asyncDispose]());
    return office;
  })
  /** A Redis of its own, for the file. */
  .extend('redis', { scope: 'file' }, async ({}, { onCleanup }) => {
    const redis = await startRedis({ own: true });
    onCleanup(() => redis.close());
    return redis;
  })
  /** A MinIO of its own, for the file. */
  .extend('minio', { scope: 'file' }, async ({}, { onCleanup }) => {
    const minio = await startMinio();
    onCleanup(() => minio.close());
    return minio;
  })
  /** Settings of `service` beyond those of the office. A file changes them with `test.override('settings', …)`. */
  .extend('settings', { scope: 'file' }, (): Settings => ({}))
  /** All roles within the test, for the file. */
  .extend('service', { scope: 'file' }, async ({ office, settings }, { onCleanup }) => {
    const service = await startInProcess({ ...office.settings, ...settings });
    onCleanup(() => service[Symbol.asyncDispose]());
    return service;
  })
  /**
   * Starts a role as a process of its own, with the settings of the office and the given ones. All are stopped at the end
   * of the file, which fails if one of them does not end well. To be named after `redis` and `minio`, which then outlive
   * the processes: fixtures are removed in the opposite order.
   */
  .extend('startRole', { scope: 'file' }, async ({ office }, { onCleanup }) => {
    const services: { stop(): Promise<void> }[] = [];
    onCleanup(async () => {
      const stopped = await Promise.allSettled(services.map((service) => service.stop()));
      for (const result of stopped) if (result.status === 'rejected') throw result.reason;
    });
    return async (role: Role, settings: Settings) => {
      const service = await startService({ ...office.settings, ...settings }, [role]);
      services.push(service);
      return service;
    };
  });
