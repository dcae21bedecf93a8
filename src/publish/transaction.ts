import type { LocatedTag } from '../resolve/tag.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';
import { Refuse } from '../errors.ts';
import { writeOutcome, type Outcome } from '../store/outcome.ts';
import { writeVersion, type WriteOptions, type WriterParts } from './write-version.ts';

/** The options of `publishVersion`. */
export interface PublishOptions extends WriteOptions {
  /** When the work on the tag or the request began, ISO 8601. */
  readonly startedAt: string;
  /** The outcome already stored under this tag. If it is of another module, it is kept, and the new one goes under `module@version`. */
  readonly tagOutcome: Outcome | undefined;
}

/**
 * The one transaction that publishes a version: its three files, then its index entry, then its outcome. The outcome is
 * `refused` for a version that the go command would not accept, that was withdrawn, or whose tag was moved.
 *
 * Resolves to the outcome, which is in the store then. Rejects with Retry, or with an error of the store, if the
 * transaction has to run again. Running it again changes nothing that is already stored.
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
 * The name under which the outcome of a version is stored: its tag. A version without a tag is stored under
 * `module@version`, and so is a version whose tag has an outcome of another module (`tagOutcome`): one tag can publish
 * under several paths, when MODULE_MAP names its project several times or when the project has moved.
 */
export function outcomeName(
  { tag, path, version }: Pick<ResolvedVersion, 'tag' | 'path' | 'version'>,
  tagOutcome: Outcome | undefined,
): string {
  return tag === undefined || (tagOutcome !== undefined && tagOutcome.module !== path) ? `${path}@${version}` : tag;
}
