import { LRUCache } from 'lru-cache';
import { Refuse, Retry, Skip } from '../errors.ts';
import { parseCommit, type Commit, type Project, type Tag } from '../gitlab/schema.ts';
import { MAX_GOMOD } from '../module/zip/writer.ts';
import type { CachedTag, TagJob } from '../queue/tag-job.ts';
import type { Ownership } from '../resolve/ownership.ts';
import { joinPath } from '../module/elements.ts';
import { locateTag, type LocatedTag } from '../resolve/tag.ts';
import { moduleKey } from '../store/layout.ts';
import { filesInGitLab, type CommitFiles } from '../build/commit-files.ts';
import { CommitTrees } from '../build/commit-tree.ts';
import { writeIndexEntry } from '../store/index-entry.ts';
import { readOutcome, writeOutcome, type Outcome } from '../store/outcome.ts';
import { withdrawalOf } from './withdraw.ts';
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

/** What is needed of a job. Without a strategy the version is built from an archive. */
export type PublishRequest = Pick<TagJob, 'projectId' | 'tag' | 'cachedTag' | 'allowCachedProject' | 'listedPath'> &
  Partial<Pick<TagJob, 'strategy'>>;

/** What a listing said of a tag is taken for true for so long, in milliseconds: a tag that moves is another job. */
const LISTED_FRESH_MS = 10 * 60_000;
/** For how long a project is taken to be as it was, when many of its tags are published. In milliseconds. */
const PROJECT_FRESH_MS = 20_000;

/** Turns a tag into the three files of a module version. */
export class Publisher {
  readonly #parts: PublisherParts;
  readonly #trees: CommitTrees | undefined;
  readonly #projects = new LRUCache<string, Promise<Project | undefined>>({ max: 1000, ttl: PROJECT_FRESH_MS });

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    const { blobs } = parts;
    this.#trees = blobs && new CommitTrees({ ...parts, blobs });
  }

  /**
   * Looks at a tag and publishes it if it is a module version. Whatever it finds is recorded as an outcome, and
   * doing it again changes nothing. Rejects with Retry, or with an error of the store, when it has to be done again.
   * A tag that was `listed` is one of many, which share what is read for them.
   */
  async publish(job: PublishRequest): Promise<Published> {
    const { projectId, tag: name, cachedTag, listedPath } = job;
    const { gitlab, store } = this.#parts;
    const startedAt = new Date().toISOString();
    const tag = (cachedTag && fromListing(cachedTag)) ?? (await gitlab.tag(projectId, name));
    if (!tag)
      return { dismissed: `tag ${name} of project ${projectId} does not exist, or GITLAB_TOKEN may not see it` };
    if (!tag.commit || !tag.committedAt)
      return { dismissed: `tag ${name} of project ${projectId} points at no commit` };

    const known = await readOutcome(store, projectId, name, tag.commit);
    const stands = known !== undefined && (await this.#stillStands(known));
    if (known && stands && (!hasMoved(known, listedPath) || (await withdrawalOf(store, known)))) {
      await writeIndexEntry(store, known);
      return { outcome: known, known: true };
    }
    const found: Finding = { job, projectId, tag: name, commit: { id: tag.commit, committedAt: tag.committedAt } };
    let verdict: Verdict;
    try {
      verdict = { status: 'published', ...(await this.#publishVersion(found)) };
    } catch (error) {
      if (error instanceof Dismissed) return { dismissed: error.message };
      if (!(error instanceof Skip || error instanceof Refuse)) throw error;
      verdict = { status: error instanceof Skip ? 'skipped' : 'refused', reason: error.message };
    }
    const { project, located } = found;
    const outcome: Outcome = {
      ...verdict,
      projectId,
      tag: located && isOfAnotherModule(known, located) ? `${located.path}@${located.version}` : name,
      commit: tag.commit,
      ...(project && { project: project.path }),
      ...(located && { module: located.path, version: located.version }),
      ...(located?.note !== undefined && { note: located.note }),
      startedAt,
      finishedAt: new Date().toISOString(),
    };
    // There is no module for which it could stand, and in the place of the tag it would hide what was published before the move.
    const isNoModule = stands && known.status === 'published' && !located;
    if (isNoModule) {
      await writeOutcome(store, {
        ...known,
        project: outcome.project,
        note: `not published under its new path: ${outcome.reason ?? ''}`,
      });
    } else {
      await writeOutcome(store, outcome);
      // The tag is done under this path, too.
      if (known && outcome.tag !== name) await writeOutcome(store, { ...known, project: outcome.project });
    }
    return { outcome, known: false };
  }

  /** A published outcome counts for nothing when the version itself is gone from the store, unless it was withdrawn. */
  async #stillStands(outcome: Outcome): Promise<boolean> {
    const { status, module, version } = outcome;
    if (status !== 'published') return true;
    if (module === undefined || version === undefined) return false;
    if (await this.#parts.store.stat(moduleKey(module, version, 'info'))) return true;
    return (await withdrawalOf(this.#parts.store, outcome)) !== undefined;
  }

  async #publishVersion(found: Finding): Promise<WrittenVersion> {
    const { gitlab, ownership } = this.#parts;
    const { job, projectId, tag, commit } = found;
    const isOneOfMany = job.strategy !== undefined && job.strategy !== 'archive';
    let many: Promise<CommitFiles> | undefined;
    const filesOfMany = (): Promise<CommitFiles> | undefined =>
      isOneOfMany ? (many ??= this.#filesOfMany(projectId, commit, job.strategy)) : undefined;
    found.located = await locateTag({
      name: tag,
      commit,
      owner: async () => {
        found.project = await (job.allowCachedProject
          ? this.#projectOfMany(projectId, job.listedPath)
          : gitlab.project(projectId));
        if (!found.project) throw new Retry(`project ${projectId} vanished while its tag ${tag} was read`);
        if (!ownership.isInScope(found.project.path))
          throw new Dismissed(`project ${found.project.path} is not in GITLAB_SCOPE`);
        // GitLab has given it another path, which is none to publish under.
        if (found.project.isBeingDeleted) throw new Dismissed(`project ${found.project.path} waits for its deletion`);
        return { project: found.project, roots: ownership.rootsOf(found.project.path) };
      },
      readGoMod: async (directory) => {
        const files = (await filesOfMany()) ?? filesInGitLab(gitlab, projectId, commit.id);
        return await files.file(joinPath(directory, 'go.mod'), MAX_GOMOD);
      },
    });
    return writeVersion(this.#parts, found.located, {
      many: await filesOfMany(),
      assertCurrent: () => this.#assertCurrent(found),
    });
  }

  /** What was read of the tag, or listed, may be minutes old by now: it is not the tag that was moved if it is elsewhere now. */
  async #assertCurrent({ projectId, tag: name, commit }: Finding): Promise<void> {
    const now = await this.#parts.gitlab.tag(projectId, name);
    if (now?.commit !== commit.id)
      throw new Dismissed(`tag ${name} of project ${projectId} is not at ${commit.id} any more`);
  }

  /** The files of the commit of a tag that was listed with others. */
  async #filesOfMany(
    projectId: number,
    commit: Commit,
    strategy: TagJob['strategy'] | undefined,
  ): Promise<CommitFiles> {
    const tree = strategy === 'shared tree' ? await this.#trees?.of(projectId, commit.id) : undefined;
    return tree ?? filesInGitLab(this.#parts.gitlab, projectId, commit.id);
  }

  /** The project, as it was a moment ago. A single push is not served from here: the project may have been moved just before it. */
  #projectOfMany(projectId: number, projectPath: string | undefined): Promise<Project | undefined> {
    const key = `${projectId} ${projectPath ?? ''}`;
    const known = this.#projects.get(key);
    if (known) return known;
    const project = this.#parts.gitlab.project(projectId);
    this.#projects.set(key, project);
    project.catch(() => this.#projects.delete(key));
    return project;
  }
}

/** What GitLab's listing said of a tag, unless that is too long ago. */
function fromListing({ commit, committedAt, readAt }: CachedTag): Pick<Tag, 'commit' | 'committedAt'> | undefined {
  const listedMsAgo = Date.now() - Date.parse(readAt);
  const found = { commit: parseCommit(commit), committedAt: new Date(committedAt) };
  const isFresh = listedMsAgo >= 0 && listedMsAgo < LISTED_FRESH_MS;
  return isFresh && found.commit && !Number.isNaN(found.committedAt.getTime()) ? found : undefined;
}

/** What a project published stays where it was; under a new path its tags are other modules, as they are for the go command. */
function hasMoved({ project }: Outcome, listedPath: string | undefined): boolean {
  return project !== undefined && listedPath !== undefined && project !== listedPath;
}

/** Then the outcome of the tag stays as it is, and this one has the module in place of the tag, as one without a tag has. */
function isOfAnotherModule(known: Outcome | undefined, located: LocatedTag): boolean {
  return known?.status === 'published' && known.module !== located.path;
}

/** Nothing is to be done now, and nothing recorded: a project out of scope may be let in tomorrow, and a moved tag is another job. */
class Dismissed extends Error {
  override readonly name = 'Dismissed';
}

/** What is known of a tag, filled in as it is found out. */
interface Finding {
  readonly job: PublishRequest;
  readonly projectId: number;
  readonly tag: string;
  readonly commit: Commit;
  project?: Project | undefined;
  located?: LocatedTag;
}

type Verdict =
  | ({ readonly status: 'published' } & WrittenVersion)
  | { readonly status: 'skipped' | 'refused'; readonly reason: string };
