import { findMinio } from './minio.ts';
import { startRedis } from './redis.ts';

/**
 * Runs before all tests. If a required service is missing, the test run ends with one line that explains how to install
 * it.
 */
export default async function setup(): Promise<void> {
  await findMinio();
  const redis = await startRedis({ own: false });
  await redis.close();
}
