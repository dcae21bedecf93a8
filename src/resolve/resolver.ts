import { LRUCache } from 'lru-cache';
import { Refuse, Skip } from '../errors.ts';
import type { CommitId, Project } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import type { ModulePath } from '../module/path.ts';
import { isPseudoVersion, parseVersion, prereleaseOf, type Version } from '../module/version.ts';
import { chooseVersion } from './choose-version.ts';
import { chooseGoMod, versionedDirectory, type FoundGoMod } from './go-mod.ts';
import { infoText, originOf, originWithTags, type Origin } from './origin.ts';
import type { Ownership } from './ownership.ts';
import { findPlace, type ModulePlace } from './place.ts';
import { Repositories } from './repositories.ts';
import { findHead, findRevision, type Revision } from './revision.ts';
import { retractionTest, taggedVersions, type TaggedVersion } from './tagged-versions.ts';

/** A module version found in GitLab: everything that is needed to build it. */
export interface ResolvedVersion extends FoundGoMod {
  readonly path: ModulePath;
  readonly version: Version;
  readonly project: Project;
  readonly commit: CommitId;
  readonly committedAt: Date;
  /** The tag that was found, without the directory in front taken off; undefined for a pseudo-version. */
  readonly tag: string | undefined;
  readonly origin: Origin;
}

/** The versions of a module that tags name, and the project they were found in. */
export interface ListedVersions {
  readonly project: Project;
  readonly versions: readonly Version[];
}

/** What a resolver may be told besides. */
export interface ResolverOptions {
  /** Tells which versions of a module were taken out of service; by default none was. */
  readonly withdrawnOf?: (module: ModulePath) => Promise<ReadonlySet<string>>;
}

/** For how long a project is taken to be, or not to be, where it was looked for. In milliseconds. */
const PROJECT_FRESH_MS = 20_000;

/**
 * Answers what the go command finds out by cloning: which version a query means, and which versions there are. All of it
 * by GitLab's API, and without an archive. Throws Skip or Refuse for what the go command would not accept, with the
 * reason, and Retry where GitLab cannot be asked.
 */
export class Resolver {
  readonly #gitlab: GitLabClient;
  readonly #ownership: Ownership;
  readonly #repositories: Repositories;
  readonly #withdrawnOf: NonNullable<ResolverOptions['withdrawnOf']>;
  readonly #projects = new LRUCache<string, Promise<Project | undefined>>({ max: 10_000, ttl: PROJECT_FRESH_MS });

  constructor(
    gitlab: GitLabClient,
    ownership: Ownership,
    { withdrawnOf = async () => new Set() }: ResolverOptions = {},
  ) {
    this.#gitlab = gitlab;
    this.#ownership = ownership;
    this.#repositories = new Repositories(gitlab);
    this.#withdrawnOf = withdrawnOf;
  }

  /**
   * What a query for a module means: a version, a tag, a branch, `HEAD`, 7 to 40 digits of a commit's id, or `latest` for the
   * tip of the default branch. A branch whose version was withdrawn is that version all the same; `latest` is another one.
   */
  async resolve(path: ModulePath, query: string): Promise<ResolvedVersion> {
    const place = await this.#place(path);
    return query === 'latest'
      ? await this.#latest(place)
      : await this.#versionAt(place, await findRevision(this.#repositories, place, query), query);
  }

  /** The `.info` that answers a query. */
  async info(path: ModulePath, query: string): Promise<string> {
    const { version, committedAt, origin } = await this.resolve(path, query);
    return infoText(version, committedAt, origin);
  }

  /**
   * The versions in `@v/list`, in ascending order, without the withdrawn ones. None for a module that is there but has no tags; throws Skip where there
   * is no module at all: an empty list would keep the go command from looking elsewhere.
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

  /** A version at a commit that is known from before, wherever its tag is now. */
  async at(path: ModulePath, version: Version, commit: CommitId): Promise<ResolvedVersion> {
    const place = await this.#place(path);
    const found = await this.#gitlab.commit(place.project.id, commit);
    if (!found) throw new Skip(`${place.project.path} has no commit ${commit} any more`);
    const revision: Revision = { ...found, ref: undefined, tag: undefined };
    return this.#resolved(place, revision, version, await this.#goMod(place, commit));
  }

  /** The tip of the default branch; where that is a withdrawn version, the highest of those that tags name and nobody took back. */
  async #latest(place: ModulePlace): Promise<ResolvedVersion> {
    const tip = await this.#versionAt(place, await findHead(this.#repositories, place.project), '');
    const withdrawn = await this.#withdrawnOf(place.path);
    if (!withdrawn.has(tip.version)) return tip;
    const isRetracted = await this.#retractionTest(place);
    const versions = (await taggedVersions(this.#repositories, place))
      .map(({ version }) => version)
      .filter((version) => !withdrawn.has(version) && !isRetracted(version));
    const highest = versions.findLast((version) => prereleaseOf(version) === '') ?? versions.at(-1);
    if (highest === undefined)
      throw new Refuse(`the latest version of ${place.path}, ${tip.version}, was withdrawn, and there is no other`);
    return await this.#versionAt(place, await findRevision(this.#repositories, place, highest), highest);
  }

  async #versionAt(place: ModulePlace, revision: Revision, query: string): Promise<ResolvedVersion> {
    const found = await this.#goMod(place, revision.id);
    let retracted: Promise<(version: string) => boolean> | undefined;
    const isRetracted = () => (retracted ??= this.#retractionTest(place));
    const version = await chooseVersion({ repositories: this.#repositories, place, revision, isRetracted }, query);
    const resolved = this.#resolved(place, revision, version, found);
    const dependsOnTags =
      isPseudoVersion(version) && (version !== parseVersion(query) || !version.startsWith('v0.0.0-'));
    if (!dependsOnTags) return resolved;
    return {
      ...resolved,
      origin: originWithTags(place, revision, version, await this.#repositories.tags(place.project.id)),
    };
  }

  #retractionTest(place: ModulePlace): Promise<(version: string) => boolean> {
    return retractionTest(this.#repositories, place, (tagged) => this.#goModOf(place, tagged));
  }

  #resolved(place: ModulePlace, revision: Revision, version: Version, found: FoundGoMod): ResolvedVersion {
    const { path, project } = place;
    const { id, committedAt, tag } = revision;
    return {
      ...found,
      path,
      version,
      project,
      commit: id,
      committedAt,
      tag,
      origin: originOf(place, revision, version),
    };
  }

  #place(path: ModulePath): Promise<ModulePlace> {
    return findPlace(path, this.#ownership, (projectPath) => this.#project(projectPath));
  }

  #project(projectPath: string): Promise<Project | undefined> {
    const known = this.#projects.get(projectPath);
    if (known) return known;
    const project = this.#gitlab.project(projectPath);
    this.#projects.set(projectPath, project);
    project.catch(() => this.#projects.delete(projectPath));
    return project;
  }

  async #goMod(place: ModulePlace, commit: CommitId): Promise<FoundGoMod> {
    const { project, directory } = place;
    const versioned = versionedDirectory(place);
    const [here, below] = await Promise.all([
      this.#repositories.goMod(project.id, commit, directory),
      versioned === undefined ? undefined : this.#repositories.goMod(project.id, commit, versioned),
    ]);
    return chooseGoMod(place, { here, below });
  }

  async #goModOf(place: ModulePlace, { tag }: TaggedVersion): Promise<Buffer | undefined> {
    try {
      return (await this.#goMod(place, tag.commit)).gomod;
    } catch (error) {
      if (error instanceof Skip || error instanceof Refuse) return undefined;
      throw error;
    }
  }
}
