import { Refuse, Skip } from '../errors.ts';
import type { CommitId, Project } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { ProjectCache } from '../gitlab/project-cache.ts';
import type { ModulePath } from '../module/path.ts';
import { Retractions } from '../module/retractions.ts';
import { isPseudoVersion, parseVersion, type Version } from '../module/version.ts';
import { chooseVersion, undefinedIfRejected } from './choose-version.ts';
import { chooseGoMod, versionDirectoryOf, type ChosenGoMod } from './go-mod.ts';
import type { HistoryMemory } from './histories.ts';
import { infoText, originOf, originWithTags, type Origin } from './origin.ts';
import type { Ownership } from './ownership.ts';
import { findPlace, type ModulePlace } from './place.ts';
import { Repositories } from './repositories.ts';
import { findHead, findRevision, type Revision } from './revision.ts';
import { highestRelease, retractedAmong, taggedVersions } from './tagged-versions.ts';

/** A module version that was found in GitLab, with everything that is needed to build it. */
export interface ResolvedVersion extends ChosenGoMod {
  readonly path: ModulePath;
  readonly version: Version;
  readonly project: Project;
  readonly commit: CommitId;
  readonly committedAt: Date;
  /** The full name of the tag, including the module's directory. Undefined if the query names no tag. */
  readonly tag: string | undefined;
  readonly origin: Origin;
}

/** The versions that the tags of a module name, and the module's project. */
export interface ListedVersions {
  readonly project: Project;
  readonly versions: readonly Version[];
}

/** Optional parts of a resolver. */
export interface ResolverOptions {
  /** The cache through which projects are read. The default is a separate cache. */
  readonly projects?: ProjectCache;
  /** Resolves to the withdrawn versions of a module. By default, no version is withdrawn. */
  readonly withdrawnOf?: (module: ModulePath) => Promise<ReadonlySet<string>>;
  /** Keeps what is known of the histories of projects. By default, nothing is kept. */
  readonly histories?: HistoryMemory | undefined;
}

/**
 * Finds which version a query means and which versions exist. The results equal those of the go command in a clone of
 * the repository. The resolver uses only GitLab's API and downloads no archive. Throws Skip or Refuse, with the reason,
 * if the go command would not accept the query. Throws Retry if GitLab cannot be reached.
 */
export class Resolver {
  readonly #gitlab: GitLabClient;
  readonly #ownership: Ownership;
  readonly #repositories: Repositories;
  readonly #projects: ProjectCache;
  readonly #retractions = new Retractions();
  readonly #withdrawnOf: NonNullable<ResolverOptions['withdrawnOf']>;

  constructor(
    gitlab: GitLabClient,
    ownership: Ownership,
    { projects = new ProjectCache(gitlab), withdrawnOf = async () => new Set(), histories }: ResolverOptions = {},
  ) {
    this.#gitlab = gitlab;
    this.#ownership = ownership;
    this.#repositories = new Repositories(gitlab, histories);
    this.#projects = projects;
    this.#withdrawnOf = withdrawnOf;
  }

  /**
   * Finds the version that a query for a module means. A query is a version, a tag, a branch, `HEAD`, or at least 7
   * digits of a commit id. The query `latest` means the tip of the default branch. If the version of a branch was
   * withdrawn, the branch still resolves to this version, but `latest` resolves to another version.
   */
  async resolve(path: ModulePath, query: string): Promise<ResolvedVersion> {
    const place = await this.#place(path);
    return query === 'latest'
      ? await this.#latest(place)
      : await this.#versionAt(place, await findRevision(this.#repositories, place, query), query);
  }

  /** Returns the text of the `.info` for a query. */
  async info(path: ModulePath, query: string): Promise<string> {
    const { version, committedAt, origin } = await this.resolve(path, query);
    return infoText(version, committedAt, origin);
  }

  /**
   * Lists the versions for `@v/list` in ascending order, without the withdrawn versions. The list is empty for a module
   * without tags. Throws Skip if there is no module, because after an empty list the go command would not search
   * elsewhere.
   */
  async list(path: ModulePath): Promise<ListedVersions> {
    const place = await this.#place(path);
    const tagged = await taggedVersions(this.#repositories, place);
    if (tagged.length === 0) await this.#versionAt(place, await findHead(this.#repositories, place.project), '');
    const withdrawn = await this.#withdrawnOf(path);
    return {
      project: place.project,
      versions: tagged.map(({ version }) => version).filter((version) => !withdrawn.has(version)),
    };
  }

  /** Finds a version at the commit that was recorded for it, even if its tag has moved since. */
  async at(path: ModulePath, version: Version, commit: CommitId): Promise<ResolvedVersion> {
    const place = await this.#place(path);
    const recorded = await this.#gitlab.commit(place.project.id, commit);
    if (!recorded) throw new Skip(`${place.project.path} has no commit ${commit}, although this commit was recorded`);
    const revision: Revision = { ...recorded, ref: undefined, tag: undefined };
    return this.#resolved(place, revision, version, await this.#goMod(place, commit));
  }

  /**
   * Returns the version of the tip of the default branch. If this version was withdrawn, returns the highest tagged
   * version that is neither withdrawn nor retracted.
   */
  async #latest(place: ModulePlace): Promise<ResolvedVersion> {
    const tip = await this.#versionAt(place, await findHead(this.#repositories, place.project), '');
    const withdrawn = await this.#withdrawnOf(place.path);
    if (!withdrawn.has(tip.version)) return tip;
    const tagged = await taggedVersions(this.#repositories, place);
    const retracted = await this.#retractedAmong(
      place,
      tagged.map(({ version }) => version),
    );
    const usable = tagged.filter(({ version }) => !withdrawn.has(version) && !retracted.has(version));
    const highest = highestRelease(usable)?.version;
    if (highest === undefined)
      throw new Refuse(
        `the latest version of ${place.path}, ${tip.version}, was withdrawn, and there is no other version`,
      );
    return await this.#versionAt(place, await findRevision(this.#repositories, place, highest), highest);
  }

  async #versionAt(place: ModulePlace, revision: Revision, query: string): Promise<ResolvedVersion> {
    const goMod = await this.#goMod(place, revision.id);
    const version = await chooseVersion(
      {
        repositories: this.#repositories,
        place,
        revision,
        retractedAmong: (versions) => this.#retractedAmong(place, versions),
      },
      query,
    );
    const resolved = this.#resolved(place, revision, version, goMod);
    const dependsOnTags =
      isPseudoVersion(version) && (version !== parseVersion(query) || !version.startsWith('v0.0.0-'));
    if (!dependsOnTags) return resolved;
    return {
      ...resolved,
      origin: await originWithTags(place, revision, version, await this.#repositories.tags(place.project.id)),
    };
  }

  #retractedAmong(place: ModulePlace, versions: readonly string[]): Promise<ReadonlySet<string>> {
    return retractedAmong(versions, {
      repositories: this.#repositories,
      place,
      retractions: this.#retractions,
      goModOf: async ({ tag }) => {
        const goMod = await this.#goMod(place, tag.commit).catch(undefinedIfRejected);
        return goMod?.gomod;
      },
    });
  }

  #resolved(place: ModulePlace, revision: Revision, version: Version, goMod: ChosenGoMod): ResolvedVersion {
    const { path, project } = place;
    const { id, committedAt, tag } = revision;
    return {
      ...goMod,
      path,
      version,
      project,
      commit: id,
      committedAt,
      tag,
      origin: originOf(place, revision, version),
    };
  }

  /** Forgets everything that may have changed in GitLab: lists of tags and projects. */
  forgetChanging(): void {
    this.#repositories.forgetTags();
    this.#projects.clear();
  }

  #place(path: ModulePath): Promise<ModulePlace> {
    return findPlace(path, this.#ownership, (projectPath) => this.#projects.atPath(projectPath));
  }

  async #goMod(place: ModulePlace, commit: CommitId): Promise<ChosenGoMod> {
    const { project, directory } = place;
    const versionDirectory = versionDirectoryOf(place);
    const [plain, versioned] = await Promise.all([
      this.#repositories.goMod(project.id, commit, directory),
      versionDirectory === undefined ? undefined : this.#repositories.goMod(project.id, commit, versionDirectory),
    ]);
    return chooseGoMod(place, { plain, versioned });
  }
}
