import { createReadStream } from 'node:fs';
import { Refuse, Retry, Skip } from '../errors.ts';
import type { CommitId, GitLabClient, Project } from '../gitlab/client.ts';
import { hashGoMod, type H1 } from '../module/hash.ts';
import { isPseudoVersion } from '../module/version.ts';
import { MAX_GOMOD } from '../module/zip.ts';
import { listKey, moduleKey } from '../store/layout.ts';
import { publishedVersions } from '../store/published.ts';
import type { Store } from '../store/store.ts';
import { buildZip, type BuiltZip } from './build.ts';
import { locateModule, parseTag, type LocatedModule } from './locate.ts';
import { readOutcome, writeIndexEntry, writeOutcome, type Outcome } from './outcome.ts';
import type { Ownership } from './ownership.ts';
import type { Pace } from '../pace/pace.ts';
import type { TagJob } from '../queue/queue.ts';
import { withScratch } from './scratch.ts';
import { hashStoredZip } from './stored-hash.ts';

/** What the publisher works with. */
export interface PublisherParts {
  readonly gitlab: GitLabClient;
  readonly store: Store;
  readonly ownership: Ownership;
  readonly pace: Pace;
  /** RETAG: what a moved tag does to a published version. */
  readonly retag: 'refuse' | 'replace';
  /** Folder for temporary files. */
  readonly temporary: string;
  /** Archives a minute for each project, over all replicas. GitLab's own limit is 5. */
  readonly archivesPerMinute?: number;
}

/**
 * What became of a job: an outcome, new or recorded before; or the reason why there is nothing to record, such as a
 * tag that is gone.
 */
export type Published = { readonly outcome: Outcome; readonly known: boolean } | { readonly dismissed: string };

/** GitLab's limit for each project and user (reference: application limits, repository archives). */
const GITLAB_ARCHIVES_PER_MINUTE = 5;

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
    const found: Finding = { projectId, tag: name, commit: tag.commit, committedAt: tag.committedAt };
    let verdict: Verdict;
    try {
      verdict = await this.#publishVersion(found);
    } catch (error) {
      if (error instanceof OutOfScope) return { dismissed: error.message };
      if (!(error instanceof Skip || error instanceof Refuse)) throw error;
      verdict = { status: error instanceof Skip ? 'skipped' : 'refused', reason: error.message };
    }
    const { project, module } = found;
    const outcome: Outcome = {
      ...verdict,
      projectId,
      tag: name,
      commit: tag.commit,
      ...(project && { project: project.path }),
      ...(module && { module: module.path, version: module.version }),
      ...(module?.note !== undefined && { note: module.note }),
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

  async #publishVersion(found: Finding): Promise<Verdict> {
    const { gitlab, ownership } = this.#parts;
    const { projectId, commit } = found;
    const tag = parseTag(found.tag);
    const module = await locateModule(
      tag,
      async () => {
        found.project = await gitlab.project(projectId);
        if (!found.project) throw new Retry(`project ${projectId} vanished while its tag ${found.tag} was read`);
        if (!ownership.isInScope(found.project.path)) throw new OutOfScope(found.project.path);
        return ownership.modulePathOf(found.project.path);
      },
      (directory) => gitlab.file(projectId, commit, directory === '' ? 'go.mod' : `${directory}/go.mod`, MAX_GOMOD),
    );
    found.module = module;
    return withScratch(this.#parts.temporary, async (scratch) => {
      const parts = { archivesPerMinute: GITLAB_ARCHIVES_PER_MINUTE, ...this.#parts };
      const zip = await buildZip(parts, { projectId, commit, module, scratch });
      await this.#storeVersion(found, module, zip, scratch);
      return { status: 'published', h1: zip.h1, goModH1: hashGoMod(module.gomod), size: zip.size };
    });
  }

  /** Stores zip, mod and info, in that order: a reader takes a version for there once its .info is. */
  async #storeVersion(found: Finding, module: LocatedModule, zip: BuiltZip, scratch: string): Promise<void> {
    const { store, retag } = this.#parts;
    const { path, version, gomod } = module;
    const key = (file: 'zip' | 'mod' | 'info'): string => moduleKey(path, version, file);
    const published = (await store.stat(key('info'))) && (await hashStoredZip(store, key('zip'), scratch));
    if (published === zip.h1) return;
    if (published && retag === 'refuse') {
      throw new Refuse(
        `${path}@${version} was published with ${published} and stays; the tag now points at ${found.commit}, which gives ${zip.h1}. ` +
          'Tag a new version instead: builds that know the old checksum would fail with this one (RETAG=replace allows it)',
      );
    }
    // Between two versions of a version there is none, rather than the zip of one and the go.mod of the other.
    if (published) await store.delete(key('info'));
    await store.put(key('zip'), { stream: createReadStream(zip.path), size: zip.size });
    await store.put(key('mod'), gomod);
    await store.put(key('info'), Buffer.from(JSON.stringify({ Version: version, Time: goTime(found.committedAt) })));
    await this.#writeList(module);
  }

  /** Refreshes the list for static serving: a copy, which the next publish makes anew. */
  async #writeList({ path }: LocatedModule): Promise<void> {
    const { store } = this.#parts;
    const versions: string[] = [];
    for await (const version of publishedVersions(store, path)) {
      if (!isPseudoVersion(version)) versions.push(version);
    }
    await store.put(listKey(path), Buffer.from(versions.map((version) => `${version}\n`).join('')));
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
  readonly commit: CommitId;
  readonly committedAt: Date;
  project?: Project | undefined;
  module?: LocatedModule;
}

type Verdict =
  | { readonly status: 'published'; readonly h1: H1; readonly goModH1: H1; readonly size: number }
  | { readonly status: 'skipped' | 'refused'; readonly reason: string };

/** A time as Go prints it in .info: RFC 3339 in UTC, to the second. */
function goTime(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
