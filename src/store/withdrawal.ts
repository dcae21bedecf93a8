import { z } from 'zod';
import { jsonLine, parseJson } from '../io/json.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { parseWithdrawalKey, withdrawalKey, withdrawalsPrefix } from './layout.ts';
import type { ReadStore, Store } from './store.ts';

/** A version that was taken out of service, and why. `withdrawnAt` is ISO 8601 in UTC; undefined if the marker is damaged. */
export interface Withdrawal {
  readonly module: ModulePath;
  readonly version: Version;
  readonly reason: string;
  readonly withdrawnAt: string | undefined;
}

/** The parts of a marker that are read. The key of the marker names the version. */
const markerSchema = z.object({ reason: z.string(), withdrawnAt: z.iso.datetime() });

/**
 * The withdrawal of a version; undefined if the version is in service. The marker counts by its existence: if it is
 * damaged, only the reason and the time are lost.
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

/** Records a withdrawal. It is durable when this resolves. */
export async function writeWithdrawal(store: Store, withdrawal: Withdrawal): Promise<void> {
  await store.put(withdrawalKey(withdrawal.module, withdrawal.version), jsonLine(withdrawal));
}

/** All withdrawn versions of a module. */
export async function withdrawnVersions(store: ReadStore, module: ModulePath): Promise<ReadonlySet<string>> {
  const versions = new Set<string>();
  for await (const { key } of store.list(withdrawalsPrefix(module))) {
    const version = parseWithdrawalKey(module, key);
    if (version !== undefined) versions.add(version);
  }
  return versions;
}

/** The withdrawal in one line, for people. */
export function describeWithdrawal({ module, version, reason, withdrawnAt }: Withdrawal): string {
  const on = withdrawnAt === undefined ? '' : ` on ${withdrawnAt.slice(0, 10)}`;
  return `${module}@${version} was withdrawn${on}: ${reason}`;
}
