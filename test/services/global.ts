import { findMinio } from './minio.ts';
import { startRedis } from './redis.ts';

/** Before any test: every real component is there, or the run ends with one line on how to get it. */
export default async function setup(): Promise<void> {
  await findMinio();
  const redis = await startRedis({ own: false });
  await redis.close();
}
