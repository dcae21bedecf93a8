import { withCore } from '../app/with-core.ts';
import { loadWithdrawConfig, type WithdrawConfig } from '../config/command-config.ts';
import { messageOf } from '../errors.ts';
import { below } from '../module/path-elements.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { withdrawVersion, type WithdrawResult } from '../publish/withdraw.ts';
import { versionsPrefix } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import { describeWithdrawal } from '../store/withdrawal.ts';
import { isUsageError, printError, UsageError } from './command.ts';

/** The arguments of `modpress withdraw`. */
export interface WithdrawOptions {
  readonly module: ModulePath;
  readonly version: Version;
  readonly reason: string;
}

/** Runs `modpress withdraw`. Resolves to the exit status. */
export async function runWithdraw({ module, version, reason }: WithdrawOptions): Promise<number> {
  const config = loadWithdrawConfig(process.env);
  try {
    await withCore(config, async (core) => {
      const store = await core.existingStore();
      const hasModule = await hasFilesOf(store, module);
      if (!hasModule) assertPrivate(config, module);
      const result = await withdrawVersion({ store, lock: core.lock() }, module, version, reason);
      process.stdout.write(`${describeResult(result, reason, hasModule)}\n`);
    });
    return 0;
  } catch (error) {
    if (isUsageError(error)) throw error;
    printError(
      `${module}@${version} could not be withdrawn completely: ${messageOf(error)}; run the same command again`,
    );
    return 1;
  }
}

async function hasFilesOf(store: ReadStore, module: ModulePath): Promise<boolean> {
  for await (const { key } of store.list(versionsPrefix(module))) if (key !== '') return true;
  return false;
}

/** Throws UsageError if a module is not private. A module that has no files and is not private is probably mistyped. */
function assertPrivate({ privatePrefixes }: WithdrawConfig, module: ModulePath): void {
  if (privatePrefixes.some((prefix) => below(module, prefix) !== undefined)) return;
  const reason =
    privatePrefixes.length === 0
      ? 'and modpress cannot check that it is a private module: set GITLAB_URL or MODULE_PREFIX'
      : `and it is not a private module: the paths of private modules begin with ${privatePrefixes.join(' or ')}`;
  throw new UsageError([`the store has no files of ${module}, ${reason}`]);
}

/**
 * Describes the result in one line. Warns if the store has no files of the module, because a mistyped path would leave
 * the intended version in service.
 */
function describeResult({ withdrawal, before, hadFiles }: WithdrawResult, reason: string, hasModule: boolean): string {
  const { module, version } = withdrawal;
  const name = `${module}@${version}`;
  if (hadFiles)
    return `${name} is withdrawn: ${reason}. Developers who have downloaded it still have it: replace any leaked secret`;
  if (!before) {
    const warning = hasModule
      ? ''
      : `; no version of ${module} is published: check the path, including upper and lower case`;
    return `${name} is withdrawn: ${reason}. It was not published, and never will be${warning}`;
  }
  return before.reason === reason
    ? `${describeWithdrawal(before)}. There was nothing left to do`
    : `${name} stays withdrawn, with a new reason: ${reason}`;
}
