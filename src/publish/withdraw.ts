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
  /** The lock of those who publish, where there is one that all processes share. */
  readonly lock?: VersionLock | undefined;
}

/** What withdrawing a version did. */
export interface WithdrawResult {
  readonly withdrawal: Withdrawal;
  /** The withdrawal that there was before, if it is not the first. */
  readonly before: Withdrawal | undefined;
  /** Whether there were files of it in the store. */
  readonly hadFiles: boolean;
}

/**
 * Takes a version out of service for good: leaves a marker, then deletes its files and takes it off the static list.
 * Doing it again completes what was cut off; a reason that differs replaces the one before. With a lock it ends after
 * every publish of the version that was under way. Rejects with errors of the store, or of the lock: then the marker may
 * be there already, and it has to be done again.
 *
 * It is safe without the lock too. The marker comes before the deletions here, and a publish looks for it after its last
 * write (`assertInService`). If that look does not find it, all writes were before the marker, and so before the
 * deletions; if it does, the publish deletes what it wrote. The look before building is for those that come later, and
 * for one that died between its writes and its look.
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
  // At once: a publish that is under way may hold the lock for as long as GitLab takes for an archive.
  const hadFiles = await takeAway(store, module, version);
  if (lock) await lock(moduleVersionName(module, version), () => takeAway(store, module, version));
  return { withdrawal, before, hadFiles };
}

/** Throws Refuse for a version that was withdrawn, after deleting whatever there is of it. */
export async function assertInService(store: Store, module: ModulePath, version: Version): Promise<void> {
  const withdrawal = await readWithdrawal(store, module, version);
  if (!withdrawal) return;
  await takeAway(store, module, version);
  throw new Refuse(describeWithdrawal(withdrawal));
}

/**
 * The withdrawal of the version that a tag at a commit was looked at for. It holds for the same tag under another module path,
 * which it has once the project has moved: what leaked is the same.
 */
export async function withdrawalOf(store: ReadStore, { module, version }: Outcome): Promise<Withdrawal | undefined> {
  return module && version && (await readWithdrawal(store, module, version));
}

/** Deletes the files of a version, `.info` first, which is what readers go by. Returns whether there were any. */
async function takeAway(store: Store, module: ModulePath, version: Version): Promise<boolean> {
  let hadFiles = false;
  for (const file of ['info', 'mod', 'zip'] as const) {
    const key = moduleKey(module, version, file);
    if (!(await store.stat(key))) continue;
    hadFiles = true;
    await store.delete(key);
  }
  // A module of which nothing was ever published has no list, and gets none.
  if (hadFiles || (await store.stat(listKey(module)))) await writeList(store, module);
  return hadFiles;
}
