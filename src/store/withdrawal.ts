import { z } from 'zod';
import { parseJson } from '../io/json.ts';
import type { ModulePath } from '../module/path.ts';
import { parseVersion, unescapeVersion, type Version } from '../module/version.ts';
import { withdrawalKey, withdrawalsPrefix } from './layout.ts';
import type { ReadStore, Store } from './store.ts';

/** That a version was taken out of service, why, and when (ISO 8601, UTC) unless the record of it is damaged. */
export interface Withdrawal {
  readonly module: ModulePath;
  readonly version: Version;
  readonly reason: string;
  readonly withdrawnAt: string | undefined;
}

/** What is read of a marker. Its key says which version it is of. */
const markerSchema = z.object({ reason: z.string(), withdrawnAt: z.iso.datetime() });

/**
 * The withdrawal of a version; undefined if it is in service. A marker counts by being there: from one that somebody has
 * damaged only the reason is lost.
 */
export async function readWithdrawal(
  store: ReadStore,
  module: ModulePath,
  version: Version,
): Promise<Withdrawal | undefined> {
  const key = withdrawalKey(module, version);
  const bytes = await store.get(key);
  return (
    bytes && {
      module,
      version,
      ...(markerSchema.safeParse(parseJson(bytes)).data ?? { reason: `${key} cannot be read`, withdrawnAt: undefined }),
    }
  );
}

/** Records a withdrawal. It is durable once this resolves. */
export async function writeWithdrawal(store: Store, withdrawal: Withdrawal): Promise<void> {
  await store.put(withdrawalKey(withdrawal.module, withdrawal.version), Buffer.from(`${JSON.stringify(withdrawal)}\n`));
}

/** All versions of a module that were withdrawn. */
export async function withdrawnVersions(store: ReadStore, module: ModulePath): Promise<ReadonlySet<string>> {
  const prefix = withdrawalsPrefix(module);
  const versions = new Set<string>();
  for await (const { key } of store.list(prefix)) {
    const version = parseVersion(unescapeVersion(key.slice(prefix.length).replace(/\.json$/, '')) ?? '');
    if (version !== undefined) versions.add(version);
  }
  return versions;
}

/** What people are told of it, in one line. */
export function describeWithdrawal({ module, version, reason, withdrawnAt }: Withdrawal): string {
  const on = withdrawnAt === undefined ? '' : ` on ${withdrawnAt.slice(0, 10)}`;
  return `${module}@${version} was withdrawn${on}: ${reason}`;
}
