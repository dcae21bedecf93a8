import { Refuse } from '../errors.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { moduleVersionName } from '../module/module-version.ts';
import type { VersionLock } from '../redis/version-lock.ts';
import { listKey, moduleKey } from '../store/layout.ts';
import type { ReadStore, Store } from '../store/store.ts';
import { describeWithdrawal, readWithdrawal, writeWithdrawal, type Withdrawal } from '../store/withdrawal.ts';
import type { Outcome } from '../store/outcome.ts';
import { writeList } from './static-list.ts';

/** The dependencies of a withdrawal. */
export interface WithdrawParts {
  readonly store: Store;
  /** The version lock of the publishers, if all processes share one. */
  readonly lock?: VersionLock | undefined;
}

/** The result of withdrawing a version. */
export interface WithdrawResult {
  readonly withdrawal: Withdrawal;
  /** The earlier withdrawal of this version, if there was one. */
  readonly before: Withdrawal | undefined;
  /** Whether the store had files of the version. */
  readonly hadFiles: boolean;
}

/**
 * Takes a version out of service permanently. Writes a marker, deletes the version's files, and removes the version
 * from the static list. A second call completes an interrupted withdrawal, and a different reason replaces the earlier
 * one. With a lock, the call waits for every publish of the version that is in progress. Rejects with errors of the
 * store or of the lock. The marker may already exist in this case, and the withdrawal has to be run again.
 *
 * The withdrawal is safe without a lock too. The marker is written before the deletions, and a publish looks for the
 * marker after its last write (`assertInService`). If the publish does not find the marker, all its writes came before
 * the marker, and therefore before the deletions. If the publish finds the marker, it deletes the files that it wrote.
 * The check before the build stops later publishes. It also deletes the files of a publish that was interrupted between
 * its writes and its check.
 */
export async function withdrawVersion(
  { store, lock }: WithdrawParts,
  module: ModulePath,
  version: Version,
  reason: string,
): Promise<WithdrawResult> {
  const before = await readWithdrawal(store, module, version);
  const withdrawal = { module, version, reason, withdrawnAt: before?.withdrawnAt ?? new Date().toISOString() };
  if (before?.reason !== reason) await writeWithdrawal(store, withdrawal);
  // The files are deleted before the lock is taken, because a publish in progress may hold the lock until GitLab has
  // sent an archive.
  const hadFiles = await deleteFiles(store, module, version);
  if (lock) await lock(moduleVersionName(module, version), () => deleteFiles(store, module, version));
  return { withdrawal, before, hadFiles };
}

/** Deletes all files of a withdrawn version, and then throws Refuse. Does nothing for any other version. */
export async function assertInService(store: Store, module: ModulePath, version: Version): Promise<void> {
  const withdrawal = await readWithdrawal(store, module, version);
  if (!withdrawal) return;
  await deleteFiles(store, module, version);
  throw new Refuse(describeWithdrawal(withdrawal));
}

/**
 * Returns the withdrawal of the version that an outcome names. The withdrawal also applies to the same tag under
 * another module path, after its project has moved: a leaked secret is the same under both paths.
 */
export async function withdrawalOf(store: ReadStore, { module, version }: Outcome): Promise<Withdrawal | undefined> {
  return module && version && (await readWithdrawal(store, module, version));
}

/**
 * Deletes the files of a version. `.info` is deleted first, because the version does not exist for readers without this
 * file. Resolves to true if there were any files.
 */
async function deleteFiles(store: Store, module: ModulePath, version: Version): Promise<boolean> {
  let hadFiles = false;
  for (const file of ['info', 'mod', 'zip'] as const) {
    const key = moduleKey(module, version, file);
    if (!(await store.stat(key))) continue;
    hadFiles = true;
    await store.delete(key);
  }
  // A module that never had a published version has no list and does not need one.
  if (hadFiles || (await store.stat(listKey(module)))) await writeList(store, module, { removed: version });
  return hadFiles;
}
