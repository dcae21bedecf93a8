import type { LocatedTag } from '../resolve/tag.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';
import { Refuse } from '../errors.ts';
import { writeOutcome, type Outcome } from '../store/outcome.ts';
import { writeVersion, type WriteOptions, type WriterParts } from './write-version.ts';

/** The options of `publishVersion`. */
export interface PublishOptions extends WriteOptions {
  /** The time when the work on the tag or the request began, in ISO 8601. */
  readonly startedAt: string;
  /**
   * The outcome that is already stored under this tag. If it belongs to another module, it is kept, and the new outcome
   * is stored under `module@version`.
   */
  readonly tagOutcome: Outcome | undefined;
}

/**
 * Publishes a version in one transaction, which writes its three files, then its index entry, then its outcome. No
 * other code publishes versions. The outcome is `refused` if the go command would not accept the version, if the
 * version was withdrawn, or if its tag was moved.
 *
 * Resolves to the outcome after it is stored. Rejects with Retry, or with an error of the store, if the transaction has
 * to run again. Running it again changes nothing that is already stored.
 */
export async function publishVersion(
  parts: WriterParts,
  version: ResolvedVersion & Partial<Pick<LocatedTag, 'note'>>,
  { startedAt, tagOutcome, ...options }: PublishOptions,
): Promise<Outcome> {
  const { project, commit, path, note } = version;
  const record = {
    projectId: project.id,
    project: project.path,
    tag: outcomeName(version, tagOutcome),
    commit,
    module: path,
    version: version.version,
    ...(note !== undefined && { note }),
    startedAt,
  };
  let result: Pick<Outcome, 'status' | 'reason' | 'h1' | 'goModH1' | 'size'>;
  try {
    result = { status: 'published', ...(await writeVersion(parts, version, options)) };
  } catch (error) {
    if (!(error instanceof Refuse)) throw error;
    result = { status: 'refused', reason: error.message };
  }
  const outcome: Outcome = { ...record, ...result, finishedAt: new Date().toISOString() };
  await writeOutcome(parts.store, outcome);
  return outcome;
}

/**
 * Returns the name under which the outcome of a version is stored, which is normally its tag. The name is
 * `module@version` if the version has no tag, or if its tag has an outcome of another module (`tagOutcome`). One tag
 * can publish versions under several paths if MODULE_MAP contains its project several times, or if the project has
 * moved.
 */
export function outcomeName(
  { tag, path, version }: Pick<ResolvedVersion, 'tag' | 'path' | 'version'>,
  tagOutcome: Outcome | undefined,
): string {
  return tag === undefined || (tagOutcome !== undefined && tagOutcome.module !== path) ? `${path}@${version}` : tag;
}
