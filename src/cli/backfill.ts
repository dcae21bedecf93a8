import { defineCommand, UsageError } from './command.ts';
import { readServiceUrl } from './service-url.ts';

const HELP = `Usage: modpress backfill [GROUP|PROJECT ...] [--since DATE] [--dry-run] [--json] [--url URL]

Publishes every tag that is not published yet. Processes the named projects, and all projects of the named groups and
their subgroups. Without names, processes all projects in GITLAB_SCOPE. Tags that were already processed are skipped,
so you can interrupt the command and run it again at any time.

  --since DATE   processes only tags created at or after this date (2026-01-31, or a time such as 2026-01-31T12:00:00Z).
                 For a lightweight tag, the date of the commit counts
  --dry-run      only counts the tags that it would process
  --json         writes one JSON object per line: the progress every few seconds, and a last one with "kind":"summary"
  --url URL      makes the service at this URL do the work, and shows its progress. Needs ADMIN_TOKEN. In a CI job, needs
                 MODPRESS_ID_TOKEN instead, an id_token that ADMIN_OIDC of the service accepts

Exit status: 0 nothing failed, 1 something failed or the service refused the backfill, 2 wrong arguments or settings,
130 interrupted. A refused version is reported but does not cause status 1, because a retry would not help.

Without --url, the command needs these settings of modpress serve: GITLAB_URL, GITLAB_TOKEN, GITLAB_SCOPE,
GITLAB_RATE, MODULE_PREFIX, MODULE_MAP, STORE and its credentials, RETAG, and REDIS_URL if the service has it.
`;

/** The command `modpress backfill`. */
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
