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

/** What withdrawing needs. */
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
 * Takes a version out of service for good: writes a marker, then deletes the version's files and removes it from the static
 * list. A second call completes an interrupted withdrawal; another reason replaces the earlier one. With a lock it resolves
 * after every publish of the version that was in progress. Rejects with errors of the store or of the lock: the marker may
 * exist by then, and the withdrawal has to be run again.
 *
 * It is safe without the lock too. The marker is written before the deletions, and a publish looks for it after its last
 * write (`assertInService`). If the publish does not find it, all its writes came before the marker, and so before the
 * deletions. If it finds the marker, it deletes what it wrote. The check before building stops later publishes, and deletes
 * the files of a publish that died between its writes and its check.
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
  // Before taking the lock: a publish in progress may hold it for as long as GitLab takes for an archive.
  const hadFiles = await deleteFiles(store, module, version);
  if (lock) await lock(moduleVersionName(module, version), () => deleteFiles(store, module, version));
  return { withdrawal, before, hadFiles };
}

/** Throws Refuse for a withdrawn version, after deleting all files of it. */
export async function assertInService(store: Store, module: ModulePath, version: Version): Promise<void> {
  const withdrawal = await readWithdrawal(store, module, version);
  if (!withdrawal) return;
  await deleteFiles(store, module, version);
  throw new Refuse(describeWithdrawal(withdrawal));
}

/**
 * The withdrawal of the version that an outcome names. It also holds for the same tag under another module path, which the
 * tag gets when its project moves: the secret that leaked is the same.
 */
export async function withdrawalOf(store: ReadStore, { module, version }: Outcome): Promise<Withdrawal | undefined> {
  return module && version && (await readWithdrawal(store, module, version));
}

/**
 * Deletes the files of a version, `.info` first: without this file the version does not exist for readers. Resolves to
 * whether there were any files.
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
  if (hadFiles || (await store.stat(listKey(module)))) await writeList(store, module);
  return hadFiles;
}
