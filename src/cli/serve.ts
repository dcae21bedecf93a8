import { settingsTable } from '../config/settings.ts';
import { defineCommand, UsageError } from './command.ts';

const HELP = `Usage: modpress serve [--roles webhook,worker,proxy]

Runs the service in this process, with all roles or only with the named ones. The settings are environment variables:

${settingsTable()}
`;

/** The command `modpress serve`. */
export const serve = defineCommand({
  name: 'serve',
  help: HELP,
  options: { roles: 'string' },
  parse: async ({ values, positionals }) => {
    if (positionals.length > 0)
      throw new UsageError([`serve takes only options, not ${JSON.stringify(positionals[0])}`]);
    const { ROLES } = await import('../config/service-config.ts');
    if (values.roles === undefined) return ROLES;
    const names = values.roles.split(',').map((name) => name.trim());
    const unknown = names.find((name) => !ROLES.some((role) => role === name));
    if (unknown !== undefined)
      throw new UsageError([`--roles: ${JSON.stringify(unknown)} is not one of ${ROLES.join(', ')}`]);
    return ROLES.filter((role) => names.includes(role));
  },
  run: async (roles) => (await import('./run-serve.ts')).runServe(roles),
});
