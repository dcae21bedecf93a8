import { once } from 'node:events';
import { captureOutput } from '../app/captured-output.ts';
import { createLog } from '../app/log.ts';
import { startApp } from '../app/serve.ts';
import { loadConfig, type Role } from '../config/service-config.ts';
import { packageVersion } from './package-version.ts';

/** Runs the service until SIGINT or SIGTERM. Resolves to the exit status. */
export async function runServe(roles: readonly Role[]): Promise<number> {
  // The handlers are registered before the start, because a process with PID 1 has no default action for signals. A
  // signal during the start stops the service afterwards.
  const stopped = Promise.race(['SIGTERM', 'SIGINT'].map(async (signal) => once(process, signal).then(() => signal)));
  const config = loadConfig(process.env, roles);
  const rootLog = createLog(config.logLevel);
  const log = rootLog.child({ component: 'app' });
  captureOutput(log);
  const version = packageVersion();
  const app = await startApp(config, { roles, log: rootLog, version }).catch((cause: unknown) => {
    throw new Error('cannot start', { cause });
  });
  log.info(
    {
      event: 'service.started',
      version,
      roles,
      port: app.port,
      store: config.store.kind,
      queue: config.redisLocation === undefined ? 'process' : 'redis',
    },
    'modpress is ready',
  );
  log.info({ event: 'service.stopping', signal: await stopped }, 'stopping; waiting for requests and jobs in progress');
  await app.close();
  log.info({ event: 'service.stopped' }, 'stopped');
  return 0;
}
