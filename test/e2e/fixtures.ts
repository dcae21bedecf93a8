import { test as base } from '../fake-gitlab/fixtures.ts';
import { startMinio } from '../services/minio.ts';
import { startRedis } from '../services/redis.ts';
import { startInProcess } from './in-process.ts';
import { openOffice } from './office.ts';
import { startService } from './service.ts';
import type { Role } from '../../src/config/service-config.ts';

/** The settings that override those of the office. */
type Settings = Readonly<Record<string, string>>;

/** Tests of modpress as a whole, with its services. Each fixture is started when a test or a hook first uses it. */
export const test = base
  /** A fake GitLab with folders and settings, for the file. */
  .extend('office', { scope: 'file' }, async ({ gitlabOptions }, { onCleanup }) => {
    const office = await openOffice(gitlabOptions);
    onCleanup(() => office[Symbol.asyncDispose]());
    return office;
  })
  /** A Redis for this file only. */
  .extend('redis', { scope: 'file' }, async ({}, { onCleanup }) => {
    const redis = await startRedis({ own: true });
    onCleanup(() => redis.close());
    return redis;
  })
  /** A MinIO for this file only. */
  .extend('minio', { scope: 'file' }, async ({}, { onCleanup }) => {
    const minio = await startMinio();
    onCleanup(() => minio.close());
    return minio;
  })
  /** Settings of `service` in addition to those of the office. A file changes them with `test.override('settings', …)`. */
  .extend('settings', { scope: 'file' }, (): Settings => ({}))
  /** All roles in the process of the test, for the file. */
  .extend('service', { scope: 'file' }, async ({ office, settings }, { onCleanup }) => {
    const service = await startInProcess({ ...office.settings, ...settings });
    onCleanup(() => service[Symbol.asyncDispose]());
    return service;
  })
  /**
   * Starts a role as a separate process, with the settings of the office and the given ones. All processes are stopped at
   * the end of the file, which fails if one of them ends with an error. List it after `redis` and `minio`, so that these
   * outlive the processes: fixtures are removed in the reverse order.
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
