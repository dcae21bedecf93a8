import { z } from 'zod';
import { jsonLine, parseJson } from '../io/json.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { parseWithdrawalKey, withdrawalKey, withdrawalsPrefix } from './layout.ts';
import type { ReadStore, Store } from './store.ts';

/**
 * A version that was withdrawn, and the reason. `withdrawnAt` is ISO 8601 in UTC; undefined if the marker is damaged.
 */
export interface Withdrawal {
  readonly module: ModulePath;
  readonly version: Version;
  readonly reason: string;
  readonly withdrawnAt: string | undefined;
}

/** Parses the content of a marker. The key of the marker, not its content, identifies the version. */
const markerSchema = z.object({ reason: z.string(), withdrawnAt: z.iso.datetime() });

/**
 * Reads the withdrawal of a version. Returns undefined if the version is not withdrawn. A version is withdrawn if its
 * marker exists: if the marker is damaged, only the reason and the time are lost.
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

/** Records a withdrawal. The withdrawal is durable once this resolves. */
export async function writeWithdrawal(store: Store, withdrawal: Withdrawal): Promise<void> {
  await store.put(withdrawalKey(withdrawal.module, withdrawal.version), jsonLine(withdrawal));
}

/** Returns all withdrawn versions of a module. */
export async function withdrawnVersions(store: ReadStore, module: ModulePath): Promise<ReadonlySet<string>> {
  const versions = new Set<string>();
  for await (const { key } of store.list(withdrawalsPrefix(module))) {
    const version = parseWithdrawalKey(module, key);
    if (version !== undefined) versions.add(version);
  }
  return versions;
}

/** Returns a description of the withdrawal in one line. */
export function describeWithdrawal({ module, version, reason, withdrawnAt }: Withdrawal): string {
  const on = withdrawnAt === undefined ? '' : ` on ${withdrawnAt.slice(0, 10)}`;
  return `${module}@${version} was withdrawn${on}: ${reason}`;
}
