import { join } from 'node:path';
import type { Git } from './git.ts';
import { Repository } from './repository.ts';
import type { Token } from './tokens.ts';

export type Visibility = 'private' | 'internal' | 'public';

export interface Group {
  readonly id: number;
  /** The last element of the full path. */
  readonly path: string;
  readonly fullPath: string;
  readonly parentId: number | null;
  readonly createdAt: Date;
}

export interface ProjectRecord {
  readonly id: number;
  fullPath: string;
  readonly formerPaths: Set<string>;
  readonly visibility: Visibility;
  readonly archived: boolean;
  readonly createdAt: Date;
  lastActivityAt: Date;
  /** Whether the repository is disabled (`repository_access_level`). */
  codeDisabled: boolean;
  /** The time at which the project was marked for deletion, if it was. */
  markedForDeletionAt: Date | undefined;
  readonly repository: Repository;
}

/** The options for a new project. */
export interface ProjectOptions {
  readonly visibility?: Visibility;
  readonly defaultBranch?: string;
  readonly archived?: boolean;
  /** The time of creation and of the last activity. The default is the current time. */
  readonly createdAt?: Date;
  /**
   * Another project whose repository this project shares. Thousands of projects do not need thousands of repositories.
   */
  readonly sharesRepositoryOf?: { readonly id: number };
}

/** Returns the last element of a full path, which is the `path` of a project or group. */
export function lastPart(fullPath: string): string {
  return fullPath.slice(fullPath.lastIndexOf('/') + 1);
}

/** Returns the path of the parent, such as `a/b` for `a/b/c`. The result is empty for a top-level path. */
export function parentPath(fullPath: string): string {
  return fullPath.slice(0, Math.max(0, fullPath.lastIndexOf('/')));
}

/** Reports whether `path` is equal to `ancestor` or below it. GitLab ignores case in paths. */
export function isWithin(path: string, ancestor: string): boolean {
  return `${path}/`.toLowerCase().startsWith(`${ancestor}/`.toLowerCase());
}

/** The groups and projects of a GitLab, their visibility, and their repositories. */
export class Instance {
  readonly #git: Git;
  readonly #folder: string;
  readonly #groups = new Map<number, Group>();
  readonly #projects = new Map<number, ProjectRecord>();
  /** The repositories of all projects, including deleted projects. */
  readonly #repositories = new Map<number, Repository>();
  #lastId = 0;

  /** The names of the repositories in `folder` are project ids, so that moving a project does not change them. */
  constructor(git: Git, folder: string) {
    this.#git = git;
    this.#folder = folder;
  }

  createGroup(fullPath: string): Group {
    const existing = this.group(fullPath);
    if (existing !== undefined) return existing;
    const parent = parentPath(fullPath);
    const parentId = parent === '' ? null : this.createGroup(parent).id;
    const group: Group = { id: ++this.#lastId, path: lastPart(fullPath), fullPath, parentId, createdAt: new Date() };
    this.#groups.set(group.id, group);
    return group;
  }

  async createProject(fullPath: string, options: ProjectOptions): Promise<ProjectRecord> {
    if (this.project(fullPath)?.fullPath === fullPath) throw new Error(`project ${fullPath} exists`);
    if (parentPath(fullPath) === '') throw new Error(`a project needs a group: ${fullPath}`);
    this.createGroup(parentPath(fullPath));
    const id = ++this.#lastId;
    const directory = join(this.#folder, `${id}.git`);
    const shared = options.sharesRepositoryOf && this.#repositories.get(options.sharesRepositoryOf.id);
    const createdAt = options.createdAt ?? new Date();
    const project: ProjectRecord = {
      id,
      fullPath,
      formerPaths: new Set(),
      visibility: options.visibility ?? 'private',
      archived: options.archived ?? false,
      createdAt,
      lastActivityAt: createdAt,
      codeDisabled: false,
      markedForDeletionAt: undefined,
      repository: shared ?? (await Repository.create(this.#git, directory, options.defaultBranch ?? 'main')),
    };
    this.#projects.set(id, project);
    this.#repositories.set(id, project.repository);
    return project;
  }

  /** Changes the path of a project. The old path still leads to the project until another project uses this path. */
  moveProject(project: ProjectRecord, newFullPath: string): void {
    this.createGroup(parentPath(newFullPath));
    project.formerPaths.add(project.fullPath);
    project.formerPaths.delete(newFullPath);
    project.fullPath = newFullPath;
  }

  /** Marks a project for deletion, and renames it so that its path is free (Projects::MarkForDeletionService, 18.x). */
  scheduleDeletion(project: ProjectRecord): void {
    this.moveProject(project, `${project.fullPath}-deletion_scheduled-${project.id}`);
    project.markedForDeletionAt = new Date();
  }

  /** Reverts `scheduleDeletion`. */
  restoreProject(project: ProjectRecord): void {
    this.moveProject(project, project.fullPath.replace(/-deletion_scheduled-\d+$/, ''));
    project.markedForDeletionAt = undefined;
  }

  deleteProject(id: number): void {
    this.#projects.delete(id);
  }

  get projects(): readonly ProjectRecord[] {
    return [...this.#projects.values()];
  }

  get groups(): readonly Group[] {
    return [...this.#groups.values()];
  }

  /** Returns a group by its id or full path. */
  group(idOrPath: string): Group | undefined {
    if (/^\d+$/.test(idOrPath)) return this.#groups.get(Number(idOrPath));
    return this.groups.find((group) => group.fullPath.toLowerCase() === idOrPath.toLowerCase());
  }

  /** Returns a project by its id, path or former path. */
  project(idOrPath: string): ProjectRecord | undefined {
    if (/^\d+$/.test(idOrPath)) return this.#projects.get(Number(idOrPath));
    const path = idOrPath.toLowerCase();
    return (
      this.projects.find((project) => project.fullPath.toLowerCase() === path) ??
      this.projects.find((project) => [...project.formerPaths].some((former) => former.toLowerCase() === path))
    );
  }

  /** Returns all parent groups of a project or group, innermost first. */
  ancestors(fullPath: string): readonly Group[] {
    const found: Group[] = [];
    for (let path = parentPath(fullPath); path !== ''; path = parentPath(path)) {
      const group = this.group(path);
      if (group !== undefined) found.push(group);
    }
    return found;
  }

  isMember(token: Token | undefined, project: ProjectRecord): boolean {
    if (token === undefined) return false;
    if (token.memberOf === 'everything') return true;
    const paths = [project.fullPath, ...project.formerPaths];
    return token.memberOf.some((entry) => paths.some((path) => isWithin(path, entry)));
  }

  sees(token: Token | undefined, project: ProjectRecord): boolean {
    if (project.visibility === 'public') return true;
    return (project.visibility === 'internal' && token !== undefined) || this.isMember(token, project);
  }

  /** Reports whether a caller sees a group. Its members see it, and so does everyone who sees a project in it. */
  seesGroup(token: Token | undefined, group: Group): boolean {
    const memberOf = token?.memberOf ?? [];
    if (memberOf === 'everything' || memberOf.some((entry) => isWithin(group.fullPath, entry))) return true;
    return this.projects.some((project) => isWithin(project.fullPath, group.fullPath) && this.sees(token, project));
  }
}
