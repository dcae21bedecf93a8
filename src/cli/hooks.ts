import { defineCommand, UsageError } from './command.ts';
import type { HooksOptions } from './run-hooks.ts';
import { readServiceUrl } from './service-url.ts';

const HELP = `Usage: modpress hooks add [GROUP|PROJECT ...] [--system] --public-url URL
       modpress hooks check [GROUP|PROJECT ...] [--system] --public-url URL [--repair] [--json]

add registers the webhooks through which GitLab reports pushed tags to the service. It registers them for the named
groups and projects, or for those in GITLAB_SCOPE. If GitLab has no group hooks (they need a Premium licence), each
project of the group and its subgroups gets a webhook. If a webhook exists already, add corrects its settings and sets
its secrets again. You can run the command again at any time, for example to add new projects, or to replace
the secret (set WEBHOOK_TOKEN=new,old first). A group or project inside a group with a webhook needs no webhook of its own.

check reports for each webhook whether it exists, whether it is enabled, and the results of its last deliveries.
GitLab also sends a test delivery, which shows whether the webhook reaches the service with the right secret. A
webhook that GitLab has disabled after failures is not tested, because a successful test would enable it.

  --public-url URL  the URL at which GitLab reaches the service, without /-/webhook
  --system          includes the system hook, which receives events of the whole instance. The command then processes
                    only those groups and projects that you name
  --repair          registers missing webhooks. Sets the settings and secrets of unhealthy webhooks again and enables
                    them. Sends failed deliveries of the last day again, as many as GitLab allows per minute
  --json            writes one JSON object per line

Exit status: 0 no problem was found, 1 something is wrong or GitLab refused a call, 2 wrong arguments or settings.

Settings: GITLAB_URL, GITLAB_TOKEN, GITLAB_SCOPE, GITLAB_RATE, REDIS_URL if the service has it, and WEBHOOK_TOKEN or
WEBHOOK_SIGNING_TOKEN. If a secret has several values, the command sends the first one to GitLab. GITLAB_TOKEN needs
the scope api, and the role Maintainer for a project or Owner for a group. For --system, it must belong to an
administrator.
`;

/** The command `modpress hooks`. */
export const hooks = defineCommand({
  name: 'hooks',
  help: HELP,
  options: { 'public-url': 'string', system: 'boolean', repair: 'boolean', json: 'boolean' },
  parse: ({ values, positionals }): HooksOptions => {
    const [action, ...targets] = positionals;
    if (action !== 'add' && action !== 'check')
      throw new UsageError(['the first argument must be add or check; groups and projects follow it']);
    if (action === 'add' && (values.repair || values.json))
      throw new UsageError(['--repair and --json are options of hooks check only']);
    const paths = targets.map((target) => target.replaceAll(/^\/+|(?<!\/)\/+$/g, ''));
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
    throw new UsageError(['--public-url is missing: set it to the URL at which GitLab reaches the service']);
  return readServiceUrl('--public-url', value, '/-/webhook');
}
