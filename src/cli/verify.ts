import { parseSelection } from '../verify/selection.ts';
import { defineCommand } from './command.ts';

const HELP = `Usage: modpress verify [MODULE[@VERSION] ...] [--from-gitlab] [--json]

Recomputes the checksums of the versions in the store and compares them with those recorded when the versions were
published. It verifies the versions named, or all versions. It changes nothing.

  --from-gitlab  also builds each version again from the repository, at the commit from which it was published. This can
                 take long: GitLab allows 5 archives a minute for each project
  --json         writes one line of JSON for each finding, and a last line with the counts

Exit status: 0 all is well, 1 something differs, is missing or could not be checked, 2 wrong arguments or settings,
130 interrupted. A version without a record, a withdrawn version and a file left by an unfinished publish are reported
but do not cause status 1.

The settings are those of modpress serve: STORE, and S3_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION
for a bucket. With --from-gitlab also GITLAB_URL and GITLAB_TOKEN; and GITLAB_SCOPE, GITLAB_RATE, MODULE_PREFIX,
MODULE_MAP and REDIS_URL if the service has them.
`;

/** `modpress verify` */
export const verify = defineCommand({
  name: 'verify',
  help: HELP,
  options: { 'from-gitlab': 'boolean', json: 'boolean' },
  parse: ({ values, positionals }) => ({
    selection: parseSelection(positionals),
    fromGitLab: values['from-gitlab'] === true,
    json: values.json === true,
  }),
  run: async (options) => (await import('./run-verify.ts')).runVerify(options),
});
