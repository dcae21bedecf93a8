import { join } from 'node:path';
import type { Git } from './git.ts';
import { Repository } from './repository.ts';
import type { Token } from './tokens.ts';

export type Visibility = 'private' | 'internal' | 'public';

export interface Group {
  readonly id: number;
  /** Last part of the full path. */
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
  /** Whether its repository is switched off (`repository_access_level`). */
  codeDisabled: boolean;
  /** Since when it waits for its deletion. */
  markedForDeletionAt: Date | undefined;
  readonly repository: Repository;
}

/** What a project is made with. */
export interface ProjectOptions {
  readonly visibility?: Visibility;
  readonly defaultBranch?: string;
  readonly archived?: boolean;
  /** When it was made and last pushed to; now, unless given. */
  readonly createdAt?: Date;
  /** Shows another project's repository as its own: thousands of projects without thousands of repositories. */
  readonly sharesRepositoryOf?: { readonly id: number };
}

/** The last part of a full path: a project's or group's own `path`. */
export function lastPart(fullPath: string): string {
  return fullPath.slice(fullPath.lastIndexOf('/') + 1);
}

/** The path of what something lies in: `a/b` of `a/b/c`; empty at the top. */
export function parentPath(fullPath: string): string {
  return fullPath.slice(0, Math.max(0, fullPath.lastIndexOf('/')));
}

/** Whether a path is the given one or lies somewhere in it. GitLab's paths ignore case. */
export function isWithin(path: string, ancestor: string): boolean {
  return `${path}/`.toLowerCase().startsWith(`${ancestor}/`.toLowerCase());
}

/** The groups and projects of a GitLab, who sees them, and where their repositories are. */
export class Instance {
  readonly #git: Git;
  readonly #folder: string;
  readonly #groups = new Map<number, Group>();
  readonly #projects = new Map<number, ProjectRecord>();
  /** Those of deleted projects too. */
  readonly #repositories = new Map<number, Repository>();
  #lastId = 0;

  /** Repositories are kept in `folder`, by project id, so that a move touches none. */
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

  /** Gives a project another path; the old one keeps leading to it until another project takes it. */
  moveProject(project: ProjectRecord, newFullPath: string): void {
    this.createGroup(parentPath(newFullPath));
    project.formerPaths.add(project.fullPath);
    project.formerPaths.delete(newFullPath);
    project.fullPath = newFullPath;
  }

  /** Marks a project, which frees its path (Projects::MarkForDeletionService, 18.x). */
  scheduleDeletion(project: ProjectRecord): void {
    this.moveProject(project, `${project.fullPath}-deletion_scheduled-${project.id}`);
    project.markedForDeletionAt = new Date();
  }

  /** Undoes `scheduleDeletion`. */
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

  /** A group by id or full path. */
  group(idOrPath: string): Group | undefined {
    if (/^\d+$/.test(idOrPath)) return this.#groups.get(Number(idOrPath));
    return this.groups.find((group) => group.fullPath.toLowerCase() === idOrPath.toLowerCase());
  }

  /** A project by id, by path, or by a path it once had. */
  project(idOrPath: string): ProjectRecord | undefined {
    if (/^\d+$/.test(idOrPath)) return this.#projects.get(Number(idOrPath));
    const path = idOrPath.toLowerCase();
    return (
      this.projects.find((project) => project.fullPath.toLowerCase() === path) ??
      this.projects.find((project) => [...project.formerPaths].some((former) => former.toLowerCase() === path))
    );
  }

  /** The group a project or group lies in, and the groups that one lies in, innermost first. */
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

  /** A group is seen by its members, and by all who see a project in it. */
  seesGroup(token: Token | undefined, group: Group): boolean {
    const memberOf = token?.memberOf ?? [];
    if (memberOf === 'everything' || memberOf.some((entry) => isWithin(group.fullPath, entry))) return true;
    return this.projects.some((project) => isWithin(project.fullPath, group.fullPath) && this.sees(token, project));
  }
}
