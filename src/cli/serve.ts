import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { startApp } from '../app/serve.ts';
import { loadConfig, ROLES, type Role } from '../config/service.ts';
import { ConfigError } from '../config/reader.ts';
import { messageOf } from '../errors.ts';
import { createLog } from '../app/log.ts';
import { settingsTable } from '../config/settings.ts';
import { packageVersion } from '../app/package-version.ts';
import { usageError } from './usage-error.ts';

const HELP = `Usage: modpress serve [--roles webhook,worker,proxy]

Runs the service: all roles in one process, or the ones named. The settings are environment variables:

${settingsTable()}
`;

/** `modpress serve`: runs until SIGINT or SIGTERM. Resolves to the exit status: 2 for wrong arguments or settings. */
export async function serve(args: readonly string[]): Promise<number> {
  const roles = readArguments(args);
  if (typeof roles === 'string') {
    process.stdout.write(roles);
    return 0;
  }
  if (roles instanceof Error) return usageError('serve', [roles.message]);
  // Listened for from the start: a process that is PID 1 has no default for them, and a stop during the start counts.
  const stopped = Promise.race(['SIGTERM', 'SIGINT'].map(async (signal) => once(process, signal).then(() => signal)));
  try {
    const config = loadConfig(process.env, roles);
    const log = createLog(config.logLevel);
    const version = packageVersion();
    const app = await startApp(config, { roles, log, version });
    log.info(
      {
        event: 'service.started',
        version,
        roles,
        port: app.port,
        store: config.store.kind,
        queue: config.redisUrl === undefined ? 'process' : 'redis',
      },
      'modpress is ready',
    );
    log.info({ signal: await stopped }, 'stopping: what runs is finished first');
    await app.close();
    log.info('stopped');
    return 0;
  } catch (error) {
    if (error instanceof ConfigError) return usageError('serve', error.faults);
    process.stderr.write(`modpress: cannot start: ${messageOf(error)}\n`);
    return 1;
  }
}

/** The roles to run, the help text, or what is wrong with the arguments. */
function readArguments(args: readonly string[]): readonly Role[] | string | Error {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { roles: { type: 'string' }, help: { type: 'boolean' } },
    });
    if (values.help) return HELP;
    if (values.roles === undefined) return ROLES;
    const names = values.roles.split(',').map((name) => name.trim());
    const unknown = names.find((name) => !ROLES.some((role) => role === name));
    if (unknown !== undefined) return new Error(`--roles: ${JSON.stringify(unknown)} is none of ${ROLES.join(', ')}`);
    return ROLES.filter((role) => names.includes(role));
  } catch (error) {
    return new Error(messageOf(error));
  }
}
