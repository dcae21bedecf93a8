import { parseModuleVersion } from '../module/module-version.ts';
import { defineCommand, UsageError } from './command.ts';

const HELP = `Usage: modpress withdraw MODULE@VERSION --reason TEXT

Takes a version of a private module permanently out of service, for example because it contains a secret. Deletes the
files of the version. Requests for the version then get 410 with the reason. modpress never publishes it again, even
if its tag moves. You can also withdraw a version that is not published yet. If you run the command again, it
completes an interrupted withdrawal and replaces the reason.

  --reason TEXT  why the version is withdrawn, in one line, for the developers who use it

The command does not reach the module caches of developers, so replace any leaked secret. Running proxies may serve
the version from memory for up to 10 s. The tag and the commit stay in GitLab, and modpress can build other versions
from them, so clean the repository as well.

Exit status: 0 the version is withdrawn, 1 the withdrawal is not complete: run the command again, 2 wrong arguments or
settings.

The command needs these settings of modpress serve: STORE, and for a bucket S3_ENDPOINT, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY and AWS_REGION. It also needs REDIS_URL if the service has it. For a module without published
versions, it needs GITLAB_URL, MODULE_PREFIX and MODULE_MAP as well.
`;

/** The command `modpress withdraw`. */
export const withdraw = defineCommand({
  name: 'withdraw',
  help: HELP,
  options: { reason: 'string' },
  parse: ({ values, positionals }) => {
    const [argument, ...others] = positionals;
    if (argument === undefined || others.length > 0) throw new UsageError(['withdraw takes one MODULE@VERSION']);
    const { module, version } = parseModuleVersion(argument);
    if (version === undefined)
      throw new UsageError([`${JSON.stringify(argument)} has no version: withdraw takes MODULE@VERSION`]);
    const reason = oneLine(values.reason ?? '');
    if (reason === '')
      throw new UsageError([
        '--reason is missing: explain the withdrawal in one line, for the developers who use the version',
      ]);
    return { module, version, reason };
  },
  run: async (options) => (await import('./run-withdraw.ts')).runWithdraw(options),
});

/**
 * Replaces line breaks and control characters with spaces. If a response contains unprintable characters, the go
 * command shows none of its text (formatErrorDetail in cmd/go/internal/web).
 */
function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{C}]+/gu, ' ').trim();
}
