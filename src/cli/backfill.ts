import { defineCommand, UsageError } from './command.ts';
import { readServiceUrl } from './service-url.ts';

const HELP = `Usage: modpress backfill [GROUP|PROJECT ...] [--since DATE] [--dry-run] [--json] [--url URL]

Publishes every tag that is not published yet, of the projects named and of all projects in the groups named and their
subgroups, or of all projects in GITLAB_SCOPE. Tags that are already done are not processed again, so you can interrupt
the command and start it again at any time.

  --since DATE   only tags made at or after this date (2026-01-31, or a time such as 2026-01-31T12:00:00Z). For a
                 lightweight tag, the date of the commit counts
  --dry-run      only counts the tags that it would process
  --json         writes one JSON object per line: the progress every few seconds, and at the end one with "kind":"summary"
  --url URL      makes the service at this URL do the work, and shows its progress. Needs ADMIN_TOKEN, or in a CI
                 job MODPRESS_ID_TOKEN, an id_token that ADMIN_OIDC of the service allows

Exit status: 0 nothing failed, 1 something failed or the service refused, 2 wrong arguments or settings, 130 interrupted.
A refused version is reported but does not cause status 1: a person has to act, and a retry would not help.

Without --url the settings are those of modpress serve: GITLAB_URL, GITLAB_TOKEN, GITLAB_SCOPE, GITLAB_RATE,
MODULE_PREFIX, MODULE_MAP, STORE and its credentials, RETAG, and REDIS_URL if the service has it.
`;

/** `modpress backfill` */
export const backfill = defineCommand({
  name: 'backfill',
  help: HELP,
  options: { since: 'string', 'dry-run': 'boolean', json: 'boolean', url: 'string' },
  parse: async ({ values, positionals }) => {
    const { parseBackfillRequest } = await import('../backfill/backfill-request.ts');
    const request = parseBackfillRequest({
      targets: positionals,
      since: values.since,
      dryRun: values['dry-run'] === true,
    });
    if ('faults' in request)
      throw new UsageError(
        request.faults.map((fault) => fault.replace(/^since/, `--since ${JSON.stringify(values.since)}`)),
      );
    const { url } = values;
    return {
      request,
      json: values.json === true,
      url: url === undefined ? undefined : readServiceUrl('--url', url, '/-/backfill'),
    };
  },
  run: async (options) => (await import('./run-backfill.ts')).runBackfill(options),
});
