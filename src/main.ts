#!/usr/bin/env node
import { constants } from 'node:os';
import { packageVersion } from './cli/package-version.ts';

const USAGE = `modpress: push a tag, get a module

Usage:
  modpress serve [--roles webhook,worker,proxy]                     run the service
  modpress serve --help                                             list all settings
  modpress backfill [GROUP|PROJECT ...] [--since DATE] [--url URL]   publish every tag that is not published yet
  modpress verify [MODULE[@VERSION] ...] [--from-gitlab] [--json]   check the stored versions and their checksums
  modpress withdraw MODULE@VERSION --reason TEXT                    take a version out of service
  modpress hooks add|check [GROUP|PROJECT ...] --public-url URL     register webhooks, or check them
  modpress --version
`;

/** Runs the command line. Resolves to the exit status. */
async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  // Only the code of the requested command is loaded, so that the help appears without delay.
  switch (command) {
    case 'serve':
      return (await import('./cli/serve.ts')).serve(rest);
    case 'backfill':
      return (await import('./cli/backfill.ts')).backfill(rest);
    case 'verify':
      return (await import('./cli/verify.ts')).verify(rest);
    case 'withdraw':
      return (await import('./cli/withdraw.ts')).withdraw(rest);
    case 'hooks':
      return (await import('./cli/hooks.ts')).hooks(rest);
    case '--version':
    case 'version':
      process.stdout.write(`${packageVersion()}\n`);
      return 0;
    case undefined:
    case '--help':
    case 'help':
      process.stdout.write(USAGE);
      return 0;
    default:
      process.stderr.write(`modpress: unknown command ${JSON.stringify(command)}\n\n${USAGE}`);
      return 2;
  }
}

// Node ignores SIGPIPE. In `modpress … | head`, this signal ends any other program without an error message.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(128 + constants.signals.SIGPIPE);
  process.stderr.write(`modpress: cannot write the output: ${error.message}\n`);
  process.exit(1);
});
// If stderr is closed, the command continues without reporting progress and errors.
process.stderr.on('error', () => undefined);

process.exitCode = await main(process.argv.slice(2));
