import { findMinio } from './minio.ts';
import { startRedis } from './redis.ts';

/** Runs before all tests. Without a required service, the run ends with one line that says how to install it. */
export default async function setup(): Promise<void> {
  await findMinio();
  const redis = await startRedis({ own: false });
  await redis.close();
}
