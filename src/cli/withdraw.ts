import { parseArgs } from 'node:util';
import { loadWithdrawConfig, type WithdrawConfig } from '../config/commands.ts';
import { ConfigError } from '../config/reader.ts';
import { messageOf } from '../errors.ts';
import { createLog } from '../app/log.ts';
import { below } from '../module/path-elements.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { withdrawVersion, type WithdrawResult } from '../publish/withdraw.ts';
import { connectRedis, endRedis } from '../redis/connection.ts';
import { redisLock } from '../redis/redis-version-lock.ts';
import { versionsPrefix } from '../store/layout.ts';
import { openStore } from '../store/open-store.ts';
import type { ReadStore } from '../store/store.ts';
import { describeWithdrawal } from '../store/withdrawal.ts';
import { parseModuleVersion } from '../module/module-version.ts';
import { assertStore } from './assert-store.ts';
import { usageError } from './usage-error.ts';

const HELP = `Usage: modpress withdraw MODULE@VERSION --reason TEXT

Takes a version of a private module out of service for good, such as one with a secret in it: its files are deleted, and
whoever asks for it gets 410 with the reason. It is never published again, however its tag is moved. A version that is not
published yet can be withdrawn beforehand. Run again, the command completes what was cut off, and replaces the reason.

  --reason TEXT  why, in one line; developers read it

Who has the version in a module cache keeps it: rotate what leaked. Running proxies serve it from memory for 10 s at most.
The tag and the commit stay in GitLab, where modpress can make other versions of them: mend the repository too.

Exit status: 0 done, 1 not complete: run it again, 2 wrong arguments or settings.

Settings are those of modpress serve: STORE, with S3_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION
for a bucket; REDIS_URL where the service has it; GITLAB_URL, MODULE_PREFIX and MODULE_MAP for a module of which nothing
is published.
`;

/** What is asked for on the command line. */
interface Options {
  readonly module: ModulePath;
  readonly version: Version;
  readonly reason: string;
}

/** `modpress withdraw`: resolves to the exit status, as its help tells. */
export async function withdraw(args: readonly string[]): Promise<number> {
  const options = readArguments(args);
  if (typeof options === 'string') {
    process.stdout.write(options);
    return 0;
  }
  if (options instanceof Error) return usageError('withdraw', [options.message]);
  try {
    const config = loadWithdrawConfig(process.env);
    await assertStore(config.store);
    process.stdout.write(`${await run(config, options)}\n`);
    return 0;
  } catch (error) {
    if (error instanceof ConfigError) return usageError('withdraw', error.faults);
    process.stderr.write(
      `modpress: ${options.module}@${options.version} is not withdrawn completely: ${messageOf(error)}; run the same command again\n`,
    );
    return 1;
  }
}

/** Resolves to what was done, in one line. */
async function run(config: WithdrawConfig, { module, version, reason }: Options): Promise<string> {
  const store = await openStore(config.store);
  // What goes wrong with Redis ends the command, with the reason.
  const log = createLog('silent');
  const redis = config.redisUrl === undefined ? undefined : connectRedis(config.redisUrl, log);
  try {
    const isKnown = await hasFiles(store, module);
    if (!isKnown) assertPrivate(config, module);
    return resultOf(
      await withdrawVersion({ store, lock: redis && redisLock(redis, log) }, module, version, reason),
      reason,
      isKnown,
    );
  } finally {
    if (redis) endRedis(redis);
    await store[Symbol.asyncDispose]();
  }
}

async function hasFiles(store: ReadStore, module: ModulePath): Promise<boolean> {
  for await (const { key } of store.list(versionsPrefix(module))) if (key !== '') return true;
  return false;
}

/** Throws ConfigError for a module that is none of ours: a mistyped path is not to be taken for a module that is not published yet. */
function assertPrivate({ privatePrefixes }: WithdrawConfig, module: ModulePath): void {
  if (privatePrefixes.some((prefix) => below(module, prefix) !== undefined)) return;
  const why =
    privatePrefixes.length === 0
      ? 'and without GITLAB_URL or MODULE_PREFIX nothing tells whether it is a private module'
      : `and it is no private module: their paths begin with ${privatePrefixes.join(' or ')}`;
  throw new ConfigError([`there is nothing of ${module} in the store, ${why}`]);
}

/** `isKnown` is whether anything of the module is in the store: if not, its path may be mistyped, and what leaked is still served. */
function resultOf({ withdrawal, before, hadFiles }: WithdrawResult, reason: string, isKnown: boolean): string {
  const { module, version } = withdrawal;
  const name = `${module}@${version}`;
  if (hadFiles) return `${name} is withdrawn: ${reason}. Who has downloaded it keeps it, so rotate what leaked`;
  if (!before)
    return `${name} is withdrawn: ${reason}. It was not published, and will not be${isKnown ? '' : `; nothing of ${module} is published, so see that the path is right, upper and lower case too`}`;
  return before.reason === reason
    ? `${describeWithdrawal(before)}. Nothing was left to do`
    : `${name} stays withdrawn, with another reason: ${reason}`;
}

/** What the arguments ask for, the help text, or what is wrong with them. */
function readArguments(args: readonly string[]): Options | string | Error {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { reason: { type: 'string' }, help: { type: 'boolean' } },
    });
    if (values.help) return HELP;
    const [argument, ...others] = positionals;
    if (argument === undefined || others.length > 0) return new Error('withdraw takes one MODULE@VERSION');
    const { module, version } = parseModuleVersion(argument);
    if (version === undefined)
      return new Error(`${JSON.stringify(argument)} names no version: withdraw takes MODULE@VERSION`);
    const reason = oneLine(values.reason ?? '');
    return reason === ''
      ? new Error('--reason is missing: say in one line why, for those who use the version')
      : { module, version, reason };
  } catch (error) {
    return new Error(messageOf(error));
  }
}

/** The go command shows nothing of an answer in which there is something unprintable (formatErrorDetail in cmd/go/internal/web). */
function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{C}]+/gu, ' ').trim();
}
