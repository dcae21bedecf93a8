import { moduleKey } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import { readWithdrawal } from '../store/withdrawal.ts';
import type { Finding } from './finding.ts';
import type { StoredVersion } from './stored-versions.ts';

/**
 * Resolves to the finding for a withdrawn version: `different` if some of its files still exist, otherwise a note.
 * Resolves to undefined if the version was not withdrawn. Rejects with StoreUnavailable.
 */
export async function findWithdrawn(
  store: ReadStore,
  { module, version }: Pick<StoredVersion, 'module' | 'version'>,
): Promise<Finding | undefined> {
  const withdrawal = await readWithdrawal(store, module, version);
  if (!withdrawal) return undefined;
  const remaining: string[] = [];
  for (const file of ['info', 'mod', 'zip'] as const)
    if (await store.stat(moduleKey(module, version, file))) remaining.push(`.${file}`);
  const subject = { module, version };
  const problem = `it was withdrawn: ${withdrawal.reason}`;
  if (remaining.length === 0)
    return { kind: 'note', ...subject, problem, advice: 'its files are deleted, so no action is needed' };
  return {
    kind: 'different',
    ...subject,
    problem: `${problem}, but the store still has ${remaining.join(', ')}`,
    advice: `run modpress withdraw ${module}@${version} again with the same reason`,
  };
}
