import { defineCommand, UsageError } from './command.ts';
import type { HooksOptions } from './run-hooks.ts';
import { readServiceUrl } from './service-url.ts';

const HELP = `Usage: modpress hooks add [GROUP|PROJECT ...] [--system] --public-url URL
       modpress hooks check [GROUP|PROJECT ...] [--system] --public-url URL [--repair] [--json]

add registers the webhook through which GitLab reports pushed tags to the service: for the groups and projects named, or
for those in GITLAB_SCOPE. If GitLab has no group hooks (they need a Premium licence), each project of the group and of its
subgroups gets one. An existing hook gets the right settings, and its secrets are set again. No hook is registered twice,
so you can run the command again at any time, for example for new projects, or after WEBHOOK_TOKEN=new,old. A group or
project inside a group with a hook needs no hook of its own.

check reports for each hook whether it exists, is enabled, and reaches the service with the right secret, for which GitLab
makes a test call, and the results of its last deliveries. A hook that GitLab has disabled after failures is not tested:
a successful test would enable it.

  --public-url URL  the URL at which GitLab reaches the service, without /-/webhook
  --system          the system hook, which receives events of the whole instance; groups and projects only if you name them
  --repair          registers missing hooks; sets the settings and secrets of unhealthy hooks again and enables them; and
                    resends failed deliveries of the last day, for each hook as many as GitLab allows in a minute
  --json            writes one JSON object per line

Exit status: 0 all is well, 1 something is wrong or GitLab does not allow it, 2 wrong arguments or settings.

Settings: GITLAB_URL; GITLAB_TOKEN, which needs the scope api, and the role Maintainer for a project, Owner for a group, or
an administrator for --system; GITLAB_SCOPE; GITLAB_RATE, and REDIS_URL if the service has it; WEBHOOK_TOKEN or
WEBHOOK_SIGNING_TOKEN, of which the command sends the first value to GitLab.
`;

/** `modpress hooks` */
export const hooks = defineCommand({
  name: 'hooks',
  help: HELP,
  options: { 'public-url': 'string', system: 'boolean', repair: 'boolean', json: 'boolean' },
  parse: ({ values, positionals }): HooksOptions => {
    const [action, ...targets] = positionals;
    if (action !== 'add' && action !== 'check')
      throw new UsageError(['hooks takes add or check, and then groups or projects']);
    if (action === 'add' && (values.repair || values.json))
      throw new UsageError(['--repair and --json are options of hooks check only']);
    const paths = targets.map((target) => target.replaceAll(/^\/+|\/+$/g, ''));
    if (paths.includes('')) throw new UsageError(['the path of a group or project is empty']);
    return {
      action,
      paths,
      system: values.system === true,
      publicUrl: readPublicUrl(values['public-url']),
      repair: values.repair === true,
      json: values.json === true,
    };
  },
  run: async (options) => (await import('./run-hooks.ts')).runHooks(options),
});

function readPublicUrl(value: string | undefined): string {
  if (value === undefined)
    throw new UsageError(['--public-url is missing: give the URL at which GitLab reaches the service']);
  return readServiceUrl('--public-url', value, '/-/webhook');
}
