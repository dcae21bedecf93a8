import { test as base } from '../fake-gitlab/fixtures.ts';
import { startMinio } from '../services/minio.ts';
import { startRedis } from '../services/redis.ts';
import { startInProcess } from './in-process.ts';
import { openOffice } from './office.ts';
import { startService, type Service } from './service.ts';
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
  /** The name of an empty bucket of `minio`, for the file. */
  .extend('bucket', { scope: 'file' }, async ({ minio }) => await minio.bucket())
  /** Settings of processes that share `bucket` as their store and `redis` as their queue. */
  .extend('sharedSettings', { scope: 'file' }, ({ bucket, minio, redis }) => ({
    STORE: `s3://${bucket}`,
    S3_ENDPOINT: minio.endpoint,
    AWS_ACCESS_KEY_ID: minio.accessKey,
    AWS_SECRET_ACCESS_KEY: minio.secretKey,
    AWS_REGION: minio.region,
    REDIS_URL: redis.url,
  }))
  /** More settings of `service` than those of the office. A file changes them with `test.override('settings', …)`. */
  .extend('settings', { scope: 'file' }, (): Settings => ({}))
  /** All roles in the process of the test, for the file. */
  .extend('service', { scope: 'file' }, async ({ office, settings }, { onCleanup }) => {
    const service = await startInProcess({ ...office.settings, ...settings });
    onCleanup(() => service[Symbol.asyncDispose]());
    return service;
  })
  /**
   * Starts modpress as a separate process, with the settings of the office and the given ones, and with the given roles
   * or all. All processes are stopped at the end of the file, which fails if one of them ends with an error. List it
   * after `redis` and `minio`, so that they end after the processes: fixtures are removed in the reverse order.
   */
  .extend('startProcess', { scope: 'file' }, async ({ office }, { onCleanup }) => {
    const services: Service[] = [];
    onCleanup(async () => {
      const stopped = await Promise.allSettled(services.map((service) => service.stop()));
      for (const result of stopped) if (result.status === 'rejected') throw result.reason;
    });
    return async (settings: Settings = {}, ...roles: readonly Role[]) => {
      const service = await startService({ ...office.settings, ...settings }, ...(roles.length === 0 ? [] : [roles]));
      services.push(service);
      return service;
    };
  });
