import { moduleKey } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import { readWithdrawal } from '../store/withdrawal.ts';
import type { Finding } from './finding.ts';
import type { StoredVersion } from './stored-versions.ts';

/**
 * What there is to say of a version that was withdrawn: that it was, or that files of it are there all the same. Undefined
 * for every other. Rejects with errors of the store.
 */
export async function findWithdrawn(
  store: ReadStore,
  { module, version }: Pick<StoredVersion, 'module' | 'version'>,
): Promise<Finding | undefined> {
  const withdrawal = await readWithdrawal(store, module, version);
  if (!withdrawal) return undefined;
  const left: string[] = [];
  for (const file of ['info', 'mod', 'zip'] as const)
    if (await store.stat(moduleKey(module, version, file))) left.push(`.${file}`);
  const subject = { module, version };
  const told = `it was withdrawn: ${withdrawal.reason}`;
  if (left.length === 0)
    return { kind: 'note', ...subject, problem: told, advice: 'its files are gone, as they should be' };
  return {
    kind: 'different',
    ...subject,
    problem: `${told}, and ${left.join(', ')} is still there`,
    advice: `run modpress withdraw ${module}@${version} again with this reason`,
  };
}
