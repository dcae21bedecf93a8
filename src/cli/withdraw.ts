import { parseModuleVersion } from '../module/module-version.ts';
import { defineCommand, UsageError } from './command.ts';

const HELP = `Usage: modpress withdraw MODULE@VERSION --reason TEXT

Takes a version of a private module out of service for good, for example one that contains a secret. It deletes the files
of the version. Requests for it get 410 with the reason. It is never published again, even if its tag moves. A version
that is not published yet can be withdrawn, too. Running the command again completes an interrupted withdrawal, and
replaces the reason.

  --reason TEXT  why, in one line, for the developers who use the version

A developer who has the version in a module cache keeps it: rotate a leaked secret. Running proxies serve the version
from memory for up to 10 s. The tag and the commit stay in GitLab, and modpress can make other versions from them: clean the
repository as well.

Exit status: 0 done, 1 not complete: run it again, 2 wrong arguments or settings.

The settings are those of modpress serve: STORE, and S3_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION
for a bucket; REDIS_URL if the service has it; GITLAB_URL, MODULE_PREFIX and MODULE_MAP for a module without published
versions.
`;

/** `modpress withdraw` */
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
      throw new UsageError(['--reason is missing: say why in one line, for the developers who use the version']);
    return { module, version, reason };
  },
  run: async (options) => (await import('./run-withdraw.ts')).runWithdraw(options),
});

/**
 * Removes line breaks and control characters: the go command shows nothing of a response that contains unprintable
 * characters (formatErrorDetail in cmd/go/internal/web).
 */
function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{C}]+/gu, ' ').trim();
}
