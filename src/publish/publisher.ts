import { CommitTrees } from '../build/commit-tree.ts';
import { filesInGitLab, type CommitFiles } from '../build/commit-files.ts';
import { messageOf, Refuse, Retry, Skip } from '../errors.ts';
import { ProjectCache } from '../gitlab/project-cache.ts';
import { parseCommit, type Commit, type Project, type Tag } from '../gitlab/schema.ts';
import { joinPath } from '../module/path-elements.ts';
import { MAX_GOMOD } from '../module/zip/writer.ts';
import type { CachedTag, TagJob } from '../queue/tag-job.ts';
import type { Ownership } from '../resolve/ownership.ts';
import { locateTag, type LocatedTag } from '../resolve/tag.ts';
import { moduleKey } from '../store/layout.ts';
import { writeIndexEntry } from '../store/index-entry.ts';
import { readOutcome, writeOutcome, type Outcome } from '../store/outcome.ts';
import { publishVersion } from './transaction.ts';
import { withdrawalOf } from './withdraw.ts';
import type { WriterParts } from './write-version.ts';

/** The dependencies of the publisher. */
export interface PublisherParts extends WriterParts {
  readonly ownership: Ownership;
  /** A cache of projects that other parts may share. The default is a separate cache. */
  readonly projects?: ProjectCache;
}

/**
 * The result of a job. It is either an outcome or the reason why no outcome is recorded, for example that the tag no
 * longer exists. `known` is true if the outcome was recorded before.
 */
export type PublishResult = { readonly outcome: Outcome; readonly known: boolean } | { readonly dismissed: string };

/** The fields of a job that the publisher uses. Without a strategy, the version is built from an archive. */
export type PublishRequest = Pick<
  TagJob,
  'projectId' | 'tag' | 'announcedAt' | 'cachedTag' | 'allowCachedProject' | 'listedPath'
> &
  Partial<Pick<TagJob, 'strategy' | 'hint'>>;

/** How long an announced tag is requested again, in milliseconds, and the limits of the waits. */
const ANNOUNCEMENT_MS = 60_000;
const MIN_ANNOUNCEMENT_WAIT_MS = 2_000;
const MAX_ANNOUNCEMENT_WAIT_MS = 20_000;

/**
 * How long a tag from a listing counts as current, in milliseconds. If the tag moves in this time, the moved tag has
 * another job.
 */
const CACHED_TAG_FRESH_MS = 10 * 60_000;

/** Publishes tags: decides for each tag whether it is a module version, and records an outcome. */
export class Publisher {
  readonly #parts: PublisherParts;
  readonly #trees: CommitTrees | undefined;
  readonly #projects: ProjectCache;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    const { blobs, gitlab, projects = new ProjectCache(gitlab) } = parts;
    this.#trees = blobs && new CommitTrees({ ...parts, blobs });
    this.#projects = projects;
  }

  /**
   * Publishes a tag if it is a module version, and records the outcome in either case. Publishing the same tag again
   * changes nothing. Rejects with Retry, or with an error of the store, if the job has to run again.
   */
  async publish(job: PublishRequest): Promise<PublishResult> {
    const { store } = this.#parts;
    const { projectId, tag: name, listedPath } = job;
    const startedAt = new Date().toISOString();
    let tag: Pick<Tag, 'commit' | 'committedAt'> | undefined;
    try {
      tag = await this.#currentTag(job);
    } catch (error) {
      // Without the commit, no outcome can be recorded. A sweep lists the tag with its commit.
      if (error instanceof Refuse) return { dismissed: error.message };
      throw error;
    }
    if (!tag) {
      return { dismissed: `tag ${name} of project ${projectId} does not exist, or GITLAB_TOKEN has no access to it` };
    }
    if (!tag.commit || !tag.committedAt) {
      return { dismissed: `tag ${name} of project ${projectId} does not point at a commit` };
    }
    const commit: Commit = { id: tag.commit, committedAt: tag.committedAt };

    const recorded = await readOutcome(store, projectId, name, commit.id);
    const isValid = recorded !== undefined && (await this.#isStillValid(recorded));
    if (recorded && isValid && (!hasMoved(recorded, listedPath) || (await withdrawalOf(store, recorded)))) {
      await writeIndexEntry(store, recorded);
      return { outcome: recorded, known: true };
    }
    try {
      return { outcome: await this.#publishAt(job, commit, startedAt, recorded, isValid), known: false };
    } catch (error) {
      if (error instanceof Dismissed) return { dismissed: error.message };
      throw error;
    }
  }

  /**
   * Records that a tag is refused because every attempt to publish it failed, the last one with this error. If the store
   * has an outcome already, although its version is missing, that outcome stays. Resolves to undefined if the commit of
   * the tag is not known.
   */
  async giveUp(job: PublishRequest, error: unknown): Promise<PublishResult | undefined> {
    const { store } = this.#parts;
    const { projectId, tag, hint, listedPath } = job;
    const startedAt = new Date().toISOString();
    // If GitLab does not return the tag, the job contains its commit, or the commit that a webhook announced.
    const current = await this.#currentTag(job).catch(() => ({ commit: parseCommit(hint) }));
    if (current?.commit === undefined) return undefined;
    const { commit } = current;
    const recorded = await readOutcome(store, projectId, tag, commit);
    if (recorded) return { outcome: recorded, known: true };
    const reason =
      `modpress gave up, because every attempt failed: ${messageOf(error)} ` +
      '(to try again, delete the outcome of the tag)';
    const project = listedPath === undefined ? {} : { project: listedPath };
    const times = { startedAt, finishedAt: new Date().toISOString() };
    const outcome: Outcome = { status: 'refused', reason, projectId, tag, commit, ...project, ...times };
    await writeOutcome(store, outcome);
    return { outcome, known: false };
  }

  /**
   * Locates the version of a tag and publishes it. `recorded` is the stored outcome of the tag, and `isValid` is true
   * if this outcome still counts.
   */
  async #publishAt(
    job: PublishRequest,
    commit: Commit,
    startedAt: string,
    recorded: Outcome | undefined,
    isValid: boolean,
  ): Promise<Outcome> {
    const { store } = this.#parts;
    const { projectId, tag: name } = job;
    let project: Project | undefined;
    let located: { readonly version: LocatedTag; readonly files: CommitFiles };
    try {
      located = await this.#locate(job, commit, (read) => (project = read));
    } catch (error) {
      if (!(error instanceof Skip || error instanceof Refuse)) throw error;
      // Without a module path, the outcome can only be stored under the tag. There, it would replace the outcome of the
      // version that was published before the project moved.
      const wouldReplace = isValid && recorded?.status === 'published';
      const outcome: Outcome = {
        status: error instanceof Skip ? 'skipped' : 'refused',
        reason: error.message,
        projectId,
        tag: name,
        commit: commit.id,
        ...(project && { project: project.path }),
        startedAt,
        finishedAt: new Date().toISOString(),
      };
      const note = `the version is not published under the new path of the project: ${error.message}`;
      await writeOutcome(store, wouldReplace ? { ...recorded, project: project?.path, note } : outcome);
      return outcome;
    }
    const outcome = await publishVersion(this.#parts, located.version, {
      startedAt,
      // A skipped or refused outcome of the tag may be replaced.
      tagOutcome: recorded?.status === 'published' ? recorded : undefined,
      preferred: job.strategy === undefined || job.strategy === 'archive' ? 'archive' : 'blobs',
      files: located.files,
      assertCurrent: () => this.#assertCurrent(job, commit),
    });
    // The outcome of the tag records the new path of the project, so that the tag is not processed again under this
    // path.
    if (recorded && outcome.tag !== name) await writeOutcome(store, { ...recorded, project: outcome.project });
    return outcome;
  }

  /**
   * Whether an outcome still counts. A published outcome does not count if the version is missing from the store,
   * unless the version was withdrawn.
   */
  async #isStillValid(outcome: Outcome): Promise<boolean> {
    const { status, module, version } = outcome;
    if (status !== 'published') return true;
    if (module === undefined || version === undefined) return false;
    if (await this.#parts.store.stat(moduleKey(module, version, 'info'))) return true;
    return (await withdrawalOf(this.#parts.store, outcome)) !== undefined;
  }

  /**
   * Finds the module version of a tag. `onProject` is called with the project as soon as the project is read. Throws
   * Skip, Refuse or Dismissed.
   */
  async #locate(
    job: PublishRequest,
    commit: Commit,
    onProject: (project: Project) => void,
  ): Promise<{ readonly version: LocatedTag; readonly files: CommitFiles }> {
    const { ownership } = this.#parts;
    const { projectId, tag } = job;
    let commitFiles: Promise<CommitFiles> | undefined;
    const files = (): Promise<CommitFiles> => (commitFiles ??= this.#filesOf(job, commit));
    const version = await locateTag({
      name: tag,
      commit,
      owner: async () => {
        const project = await this.#project(job);
        if (!project) throw new Retry(`project ${projectId} disappeared while its tag ${tag} was read`);
        onProject(project);
        if (!ownership.isInScope(project.path)) throw new Dismissed(`project ${project.path} is not in GITLAB_SCOPE`);
        // GitLab renames a project that is scheduled for deletion. Nothing is published under the new name.
        if (project.isBeingDeleted) throw new Dismissed(`project ${project.path} is scheduled for deletion`);
        return { project, roots: ownership.rootsOf(project.path) };
      },
      readGoMod: async (directory) => (await files()).file(joinPath(directory, 'go.mod'), MAX_GOMOD),
    });
    return { version, files: await files() };
  }

  /**
   * Returns the tag as GitLab listed it, or reads it if the listing is not recent. Rejects with Refuse for a tag that was
   * not listed, and whose name is too long for GitLab.
   */
  async #currentTag(job: PublishRequest): Promise<Pick<Tag, 'commit' | 'committedAt'> | undefined> {
    const listed = job.cachedTag && readCachedTag(job.cachedTag);
    if (listed?.isFresh === true) return listed;
    return await this.#readTag(job).catch((error: unknown) => {
      if (error instanceof Refuse && listed) return listed;
      throw error;
    });
  }

  /**
   * Reads the tag from GitLab. Rejects with Retry if a webhook has just announced the tag, but GitLab does not return
   * it yet: a replica of GitLab's database or of the repository can be behind by seconds.
   */
  async #readTag(job: PublishRequest): Promise<Tag | undefined> {
    const { gitlab } = this.#parts;
    const { projectId, tag: name } = job;
    const tag = await gitlab.tag(projectId, name);
    const waitMs = announcementWaitMs(job);
    if (waitMs === undefined || (tag && isAnnounced(tag, job))) return tag;
    // Without access to the project, GitLab will not return the tag later either.
    if (!tag && !(await gitlab.project(projectId))) return undefined;
    const problem = tag
      ? `GitLab still returns tag ${name} of project ${projectId} at ${tag.commit ?? 'no commit'}, but a webhook announced ${job.hint}`
      : `GitLab does not return tag ${name} of project ${projectId} yet, which a webhook has just announced`;
    throw new Retry(problem, { afterMs: waitMs });
  }

  /**
   * Returns the files of the commit. They are in memory for a tag that shares its commit with other tags, and are
   * otherwise read from GitLab.
   */
  async #filesOf({ projectId, strategy }: PublishRequest, commit: Commit): Promise<CommitFiles> {
    const tree = strategy === 'shared tree' ? await this.#trees?.of(projectId, commit.id) : undefined;
    return tree ?? filesInGitLab(this.#parts.gitlab, projectId, commit.id);
  }

  /** Reads the project. A job of a tag push never uses the cache, because the project may have moved just before. */
  async #project({ projectId, allowCachedProject, listedPath }: PublishRequest): Promise<Project | undefined> {
    if (allowCachedProject) return await this.#projects.withId(projectId, listedPath);
    return await this.#parts.gitlab.project(projectId);
  }

  /**
   * Throws Dismissed unless the tag still points at the commit. The tag may have moved since it was read or listed,
   * which can be minutes ago.
   */
  async #assertCurrent({ projectId, tag: name }: PublishRequest, commit: Commit): Promise<void> {
    const current = await this.#parts.gitlab.tag(projectId, name);
    if (current?.commit !== commit.id) {
      throw new Dismissed(`tag ${name} of project ${projectId} no longer points at ${commit.id}`);
    }
  }
}

/**
 * Returns how long to wait before the tag is requested again, in milliseconds; undefined if no webhook announced the
 * tag within the last minute. The wait is the time since the announcement, so that it doubles with each request.
 */
function announcementWaitMs({ announcedAt }: PublishRequest): number | undefined {
  const ageMs = Math.abs(Date.now() - Date.parse(announcedAt ?? ''));
  if (!(ageMs < ANNOUNCEMENT_MS)) return undefined;
  return Math.min(Math.max(ageMs, MIN_ANNOUNCEMENT_WAIT_MS), MAX_ANNOUNCEMENT_WAIT_MS);
}

/** Returns whether the tag is at the object that the webhook announced. A webhook without an object announces any. */
function isAnnounced({ commit, target }: Tag, { hint = '' }: PublishRequest): boolean {
  return hint === commit || hint === target || parseCommit(hint) === undefined;
}

/** Returns the tag as GitLab listed it, and whether the listing is recent. Returns undefined if its data is invalid. */
function readCachedTag({
  commit,
  committedAt,
  readAt,
}: CachedTag): (Pick<Tag, 'commit' | 'committedAt'> & { readonly isFresh: boolean }) | undefined {
  const ageMs = Date.now() - Date.parse(readAt);
  const tag = { commit: parseCommit(commit), committedAt: new Date(committedAt) };
  const isFresh = ageMs >= 0 && ageMs < CACHED_TAG_FRESH_MS;
  return tag.commit && !Number.isNaN(tag.committedAt.getTime()) ? { ...tag, isFresh } : undefined;
}

/**
 * Whether the project has moved since the outcome was recorded. Versions that are already published stay. Under the new
 * path, the same tags are versions of other modules, as for the go command.
 */
function hasMoved({ project }: Outcome, listedPath: string | undefined): boolean {
  return project !== undefined && listedPath !== undefined && project !== listedPath;
}

/**
 * There is nothing to publish now, and no outcome is recorded. The project may enter GITLAB_SCOPE later, and a moved
 * tag has another job.
 */
class Dismissed extends Error {
  override readonly name = 'Dismissed';
}
