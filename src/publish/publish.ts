import { Refuse, Retry, Skip } from '../errors.ts';
import type { Commit, Project } from '../gitlab/client.ts';
import { MAX_GOMOD } from '../module/zip.ts';
import type { TagJob } from '../queue/queue.ts';
import type { Ownership } from '../resolve/ownership.ts';
import { joinPath } from '../resolve/place.ts';
import { locateTag, type LocatedTag } from '../resolve/tag.ts';
import { moduleKey } from '../store/layout.ts';
import { readOutcome, writeIndexEntry, writeOutcome, type Outcome } from './outcome.ts';
import { writeVersion, type WriterParts, type WrittenVersion } from './write-version.ts';

/** What the publisher works with. */
export interface PublisherParts extends WriterParts {
  readonly ownership: Ownership;
}

/**
 * What became of a job: an outcome, new or recorded before; or the reason why there is nothing to record, such as a
 * tag that is gone.
 */
export type Published = { readonly outcome: Outcome; readonly known: boolean } | { readonly dismissed: string };

/** Turns a tag into the three files of a module version. */
export class Publisher {
  readonly #parts: PublisherParts;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /**
   * Looks at a tag and publishes it if it is a module version. Whatever it finds is recorded as an outcome, and
   * doing it again changes nothing. Rejects with Retry, or with an error of the store, when it has to be done again.
   */
  async publish({ projectId, tag: name }: Pick<TagJob, 'projectId' | 'tag'>): Promise<Published> {
    const { gitlab, store } = this.#parts;
    const startedAt = new Date().toISOString();
    const tag = await gitlab.tag(projectId, name);
    if (!tag) return { dismissed: `tag ${name} of project ${projectId} does not exist, or GITLAB_TOKEN may not see it` };
    if (!tag.commit || !tag.committedAt) return { dismissed: `tag ${name} of project ${projectId} points at no commit` };

    const known = await readOutcome(store, projectId, name, tag.commit);
    if (known && (await this.#stillStands(known))) {
      await writeIndexEntry(store, known);
      return { outcome: known, known: true };
    }
    const found: Finding = { projectId, tag: name, commit: { id: tag.commit, committedAt: tag.committedAt } };
    let verdict: Verdict;
    try {
      verdict = { status: 'published', ...(await this.#publishVersion(found)) };
    } catch (error) {
      if (error instanceof OutOfScope) return { dismissed: error.message };
      if (!(error instanceof Skip || error instanceof Refuse)) throw error;
      verdict = { status: error instanceof Skip ? 'skipped' : 'refused', reason: error.message };
    }
    const { project, located } = found;
    const outcome: Outcome = {
      ...verdict,
      projectId,
      tag: name,
      commit: tag.commit,
      ...(project && { project: project.path }),
      ...(located && { module: located.path, version: located.version }),
      ...(located?.note !== undefined && { note: located.note }),
      startedAt,
      finishedAt: new Date().toISOString(),
    };
    await writeOutcome(store, outcome);
    return { outcome, known: false };
  }

  /** A published outcome counts for nothing when the version itself is gone from the store. */
  async #stillStands({ status, module, version }: Outcome): Promise<boolean> {
    if (status !== 'published') return true;
    if (module === undefined || version === undefined) return false;
    return (await this.#parts.store.stat(moduleKey(module, version, 'info'))) !== undefined;
  }

  async #publishVersion(found: Finding): Promise<WrittenVersion> {
    const { gitlab, ownership } = this.#parts;
    const { projectId, tag, commit } = found;
    found.located = await locateTag({
      name: tag,
      commit,
      owner: async () => {
        found.project = await gitlab.project(projectId);
        if (!found.project) throw new Retry(`project ${projectId} vanished while its tag ${tag} was read`);
        if (!ownership.isInScope(found.project.path)) throw new OutOfScope(found.project.path);
        return { project: found.project, roots: ownership.rootsOf(found.project.path) };
      },
      readGoMod: (directory) => gitlab.file(projectId, commit.id, joinPath(directory, 'go.mod'), MAX_GOMOD),
    });
    return writeVersion(this.#parts, found.located);
  }
}

/** GITLAB_SCOPE leaves the project out. That leaves no outcome: it may be let in tomorrow. */
class OutOfScope extends Error {
  override readonly name = 'OutOfScope';

  constructor(project: string) {
    super(`project ${project} is not in GITLAB_SCOPE`);
  }
}

/** What is known of a tag, filled in as it is found out. */
interface Finding {
  readonly projectId: number;
  readonly tag: string;
  readonly commit: Commit;
  project?: Project | undefined;
  located?: LocatedTag;
}

type Verdict = ({ readonly status: 'published' } & WrittenVersion) | { readonly status: 'skipped' | 'refused'; readonly reason: string };
