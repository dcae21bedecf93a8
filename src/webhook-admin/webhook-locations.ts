import pLimit from 'p-limit';
import type { Project } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import type { Hook, HookOwner, WebhookClient } from '../gitlab/webhooks.ts';
import { GitLabNotFound } from '../gitlab/error-response.ts';
import { findTargets } from '../gitlab/targets.ts';
import { forOwner, hasStatus, HookFailure, nameOf } from './failure.ts';
import { leadsTo, type WantedHook } from './wanted.ts';

/** Where a hook is, or should be. */
export interface Place {
  readonly owner: HookOwner;
  /** Undefined if there is none. */
  readonly hook: Hook | undefined;
}

/** What has no hook of its own, since that of a group above it hears of its tags. */
export interface Covered {
  readonly owner: HookOwner;
  readonly by: HookOwner;
}

/** Where hooks have to be. */
export interface Places {
  readonly places: readonly Place[];
  readonly covered: readonly Covered[];
  /** What people should know, a line each. */
  readonly notes: readonly string[];
}

/** What is named on the command line, or by GITLAB_SCOPE. */
export interface Targets {
  /** Full paths of groups and projects. */
  readonly paths: readonly string[];
  readonly system: boolean;
}

/** A target that is neither a group nor a project. */
export class UnknownTarget extends Error {
  override readonly name = 'UnknownTarget';
}

/** What finding and changing hooks works with. */
export interface HookParts {
  readonly gitlab: GitLabClient;
  readonly hooks: WebhookClient;
  readonly wanted: WantedHook;
}

/** So many owners are asked for their hooks at once. */
export const SIDE_BY_SIDE = 8;

/**
 * Finds out where hooks have to be, and which are there; changes nothing. A group without group hooks stands for all its
 * projects. Rejects with UnknownTarget or HookFailure before anything is half done, or with Retry.
 */
export async function findPlaces(parts: HookParts, targets: Targets): Promise<Places> {
  const found =
    targets.paths.length === 0 ? { targets: [], unknown: [] } : await findTargets(parts.gitlab, targets.paths);
  if (found.unknown.length > 0) {
    throw new UnknownTarget(
      `${found.unknown.join(', ')}: no group or project of this path in GitLab that GITLAB_TOKEN may see`,
    );
  }
  const pathsOf = (kind: 'group' | 'project'): string[] =>
    found.targets.flatMap((target) => (target.kind === kind ? [target.path] : []));
  const survey = new Survey(parts);
  if (targets.system) await survey.addSystem();
  // Parents first: they cover what is below.
  for (const path of pathsOf('group').toSorted((one, other) => one.length - other.length)) await survey.addGroup(path);
  for (const path of pathsOf('project')) {
    const project = await parts.gitlab.project(path);
    if (project) await survey.addProjects([project], { mayBeCovered: true });
  }
  return survey;
}

class Survey implements Places {
  readonly #parts: HookParts;
  readonly #groups = new Map<string, Promise<Hook | undefined>>();
  readonly #projects = new Set<number>();
  readonly places: Place[] = [];
  readonly covered: Covered[] = [];
  readonly notes: string[] = [];

  constructor(parts: HookParts) {
    this.#parts = parts;
  }

  async addSystem(): Promise<void> {
    const owner = { kind: 'system' } as const;
    this.places.push({ owner, hook: await forOwner(owner, () => findHook(this.#parts, owner)) });
  }

  async addGroup(path: string): Promise<void> {
    const owner = { kind: 'group', path } as const;
    if (this.#isPlace(path) || (await this.#cover(owner))) return;
    try {
      this.places.push({ owner, hook: await this.#hookOfGroup(path) });
    } catch (error) {
      const why = await forOwner(owner, () => this.#whyNoGroupHooks(path, error));
      const projects = await listProjects(this.#parts.gitlab, path);
      this.notes.push(
        `${nameOf(owner)}: ${why}, so that each of its ${projects.length} projects has a hook of its own`,
      );
      await this.addProjects(projects, { mayBeCovered: false });
    }
  }

  /** `mayBeCovered` says whether the groups above may have a hook. */
  async addProjects(projects: readonly Project[], { mayBeCovered }: { mayBeCovered: boolean }): Promise<void> {
    const sideBySide = pLimit(SIDE_BY_SIDE);
    const fresh = projects.filter(({ id }) => !this.#projects.has(id));
    for (const { id } of fresh) this.#projects.add(id);
    const found = await Promise.all(
      fresh.map(({ id, path }) =>
        sideBySide(async () => {
          const owner = { kind: 'project', id, path } as const;
          if (mayBeCovered && (await this.#cover(owner))) return [];
          return [{ owner, hook: await forOwner(owner, () => findHook(this.#parts, owner)) }];
        }),
      ),
    );
    this.places.push(...found.flat());
  }

  /** Whether a group above has our hook or gets it now. Of one that the token may not ask nothing is known: two hooks do no harm. */
  async #cover(owner: Exclude<HookOwner, { kind: 'system' }>): Promise<boolean> {
    for (const path of ancestorsOf(owner.path)) {
      const by = { kind: 'group', path } as const;
      const hook = this.#isPlace(path) ? undefined : await this.#hookOfGroup(path).catch(orNone);
      if (hook === undefined && !this.#isPlace(path)) continue;
      if (!this.#isPlace(path)) this.places.push({ owner: by, hook });
      this.covered.push({ owner, by });
      return true;
    }
    return false;
  }

  #isPlace(group: string): boolean {
    return this.places.some(({ owner }) => owner.kind === 'group' && owner.path.toLowerCase() === group.toLowerCase());
  }

  /** Why a group has no hooks, if it is not for the token. GitLab has the same 403 for both. */
  async #whyNoGroupHooks(path: string, error: unknown): Promise<string> {
    // The community edition does not have the route.
    if (error instanceof GitLabNotFound) return 'this edition of GitLab has no group hooks';
    if (!hasStatus(error, 403)) throw error;
    if (await this.#parts.hooks.ownsGroup(path)) return "GitLab's licence has no group hooks";
    throw new HookFailure(
      `group ${path}: GITLAB_TOKEN may not (403): it needs the role Owner of the group; or name its projects, for which Maintainer is enough`,
      { cause: error },
    );
  }

  #hookOfGroup(path: string): Promise<Hook | undefined> {
    const known = this.#groups.get(path.toLowerCase());
    const hook = known ?? findHook(this.#parts, { kind: 'group', path });
    this.#groups.set(path.toLowerCase(), hook);
    return hook;
  }
}

/** The hook of an owner that leads to the service; the oldest, if there are several. */
export async function findHook(
  { hooks, wanted }: Omit<HookParts, 'gitlab'>,
  owner: HookOwner,
): Promise<Hook | undefined> {
  let found: Hook | undefined;
  for await (const hook of hooks.list(owner))
    if (leadsTo(hook, wanted) && (found === undefined || hook.id < found.id)) found = hook;
  return found;
}

function orNone(error: unknown): undefined {
  if (!(error instanceof GitLabNotFound) && !hasStatus(error, 403)) throw error;
}

/** Nothing can be pushed to an archived project. */
async function listProjects(gitlab: GitLabClient, group: string): Promise<Project[]> {
  const projects: Project[] = [];
  for await (const project of (await gitlab.groupProjects(group)) ?? []) if (!project.archived) projects.push(project);
  return projects;
}

/** The groups that a path lies in, the outermost first. */
function ancestorsOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}
