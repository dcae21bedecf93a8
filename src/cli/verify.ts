import { parseSelection } from '../verify/selection.ts';
import { defineCommand } from './command.ts';

const HELP = `Usage: modpress verify [MODULE[@VERSION] ...] [--from-gitlab] [--json]

Computes the checksums of the versions in the store again, and compares them with those recorded when the versions
were published. Verifies the named versions, or all versions. Changes nothing.

  --from-gitlab  also builds each version again from its repository, at the commit from which it was published. This can
                 take a long time, because GitLab allows 5 archives per minute for each project
  --json         writes one line of JSON for each finding, and a last line with the counts

Exit status: 0 no problem was found, 1 something differs, is missing or could not be checked, 2 wrong arguments or
settings, 130 interrupted. Versions without a record, withdrawn versions and files of an unfinished publish are
reported but do not cause status 1.

The command needs these settings of modpress serve: STORE, and for a bucket S3_ENDPOINT, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY and AWS_REGION. With --from-gitlab, it also needs GITLAB_URL and GITLAB_TOKEN, and GITLAB_SCOPE,
GITLAB_RATE, MODULE_PREFIX, MODULE_MAP and REDIS_URL if the service has them.
`;

/** The command `modpress verify`. */
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
