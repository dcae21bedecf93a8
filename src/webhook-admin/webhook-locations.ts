import pLimit from 'p-limit';
import type { GitLabClient } from '../gitlab/client.ts';
import type { Project } from '../gitlab/schema.ts';
import { checkGitLab } from '../gitlab/instance.ts';
import { findTargets } from '../gitlab/targets.ts';
import { GitLabNotFound } from '../gitlab/error-response.ts';
import { InvalidResponse } from '../gitlab/invalid-response.ts';
import type { Hook, HookOwner, WebhookClient } from '../gitlab/webhooks.ts';
import { pointsToService, type DesiredHook } from './desired-settings.ts';
import { explainErrors, hasStatus, HookFailure, ownerName } from './hook-failure.ts';

/** A group, a project or the whole instance that needs its own webhook, and this webhook if it exists. */
export interface WebhookLocation {
  readonly owner: HookOwner;
  /** Undefined if there is no webhook yet. */
  readonly hook: Hook | undefined;
}

/** A group or project that needs no webhook, because the webhook of a group above it also reports its tags. */
export interface CoveredOwner {
  readonly owner: HookOwner;
  readonly by: HookOwner;
}

/** All owners that need a webhook, and all owners that the webhook of a group above covers. */
export interface WebhookLocations {
  readonly locations: readonly WebhookLocation[];
  readonly covered: readonly CoveredOwner[];
  /** Notes for the user, one line each. */
  readonly notes: readonly string[];
}

/** The targets that the command line or GITLAB_SCOPE names. */
export interface WebhookTargets {
  /** Full paths of groups and projects. */
  readonly paths: readonly string[];
  /** Whether the system hook is a target. */
  readonly system: boolean;
}

/** A target that is neither a group nor a project. The message names it. */
export class UnknownTarget extends Error {
  override readonly name = 'UnknownTarget';
}

/** The dependencies of the functions that find and change webhooks. */
export interface WebhookAdminParts {
  readonly gitlab: GitLabClient;
  readonly hooks: WebhookClient;
  readonly desired: DesiredHook;
}

/** The maximum number of owners whose webhooks are read or changed concurrently. */
export const CONCURRENT_OWNERS = 8;

/**
 * Finds the owners that need a webhook, and their existing webhooks. Changes nothing. If GitLab has no group hooks,
 * every project of a group needs a webhook. Rejects with UnknownTarget, HookFailure or Retry.
 */
export async function findLocations(
  parts: WebhookAdminParts,
  { paths, system }: WebhookTargets,
): Promise<WebhookLocations> {
  await checkGitLab(parts.gitlab);
  const { targets, unknown } = await findTargets(parts.gitlab, paths);
  if (unknown.length > 0) {
    throw new UnknownTarget(
      `${unknown.join(', ')}: GitLab has no such group or project, or GITLAB_TOKEN cannot see it`,
    );
  }
  const finder = new LocationFinder(parts);
  if (system) await finder.addSystem();
  // Parent groups come first, because they cover the groups below them.
  const groups = targets.flatMap((target) => (target.kind === 'group' ? [target.path] : []));
  for (const path of groups.toSorted((a, b) => a.length - b.length)) await finder.addGroup(path);
  for (const target of targets)
    if (target.kind === 'project') await finder.addProjects([target.project], { mayBeCovered: true });
  return finder;
}

class LocationFinder implements WebhookLocations {
  readonly #parts: WebhookAdminParts;
  /** The webhooks of the groups that were read already, keyed by the path in lower case. */
  readonly #groupHooks = new Map<string, Promise<Hook | undefined>>();
  /** Ids of the projects that were added. */
  readonly #projects = new Set<number>();
  readonly locations: WebhookLocation[] = [];
  readonly covered: CoveredOwner[] = [];
  readonly notes: string[] = [];

  constructor(parts: WebhookAdminParts) {
    this.#parts = parts;
  }

  async addSystem(): Promise<void> {
    const owner = { kind: 'system' } as const;
    this.locations.push({ owner, hook: await explainErrors(owner, () => findHook(this.#parts, owner)) });
  }

  async addGroup(path: string): Promise<void> {
    const owner = { kind: 'group', path } as const;
    if (this.#hasLocation(path) || (await this.#isCovered(owner))) return;
    try {
      this.locations.push({ owner, hook: await this.#hookOfGroup(path) });
    } catch (error) {
      const reason = await explainErrors(owner, () => this.#whyNoGroupHooks(path, error));
      const projects = await listProjects(this.#parts.gitlab, path);
      this.notes.push(
        `${ownerName(owner)}: ${reason}, so each of its ${projects.length} projects needs its own webhook`,
      );
      await this.addProjects(projects, { mayBeCovered: false });
    }
  }

  /** `mayBeCovered` is false if GitLab has no group hooks. The groups above the projects are then not checked. */
  async addProjects(projects: readonly Project[], { mayBeCovered }: { mayBeCovered: boolean }): Promise<void> {
    const added = projects.filter(({ id }) => !this.#projects.has(id));
    for (const { id } of added) this.#projects.add(id);
    const locations = await pLimit(CONCURRENT_OWNERS).map(added, async ({ id, path }) => {
      const owner = { kind: 'project', id, path } as const;
      if (mayBeCovered && (await this.#isCovered(owner))) return [];
      return [{ owner, hook: await explainErrors(owner, () => findHook(this.#parts, owner)) }];
    });
    this.locations.push(...locations.flat());
  }

  /**
   * Whether a group above the owner has a webhook of the service, or gets one in this run. If so, adds the owner to
   * `covered`. A group whose webhooks the token cannot read is ignored: a second webhook does no harm.
   */
  async #isCovered(owner: Exclude<HookOwner, { kind: 'system' }>): Promise<boolean> {
    for (const path of ancestorsOf(owner.path)) {
      const by = { kind: 'group', path } as const;
      if (!this.#hasLocation(path)) {
        const hook = await this.#hookOfGroup(path).catch(undefinedIfHidden);
        if (hook === undefined) continue;
        this.locations.push({ owner: by, hook });
      }
      this.covered.push({ owner, by });
      return true;
    }
    return false;
  }

  #hasLocation(group: string): boolean {
    return this.locations.some(
      ({ owner }) => owner.kind === 'group' && owner.path.toLowerCase() === group.toLowerCase(),
    );
  }

  /**
   * Resolves to the reason why GitLab has no group hooks. GitLab answers 403 both for a missing licence and for a role
   * that is too low. Rejects with HookFailure if the role is too low, and with `error` unchanged if it has any other
   * cause.
   */
  async #whyNoGroupHooks(path: string, error: unknown): Promise<string> {
    // The community edition does not have the route.
    if (error instanceof GitLabNotFound && error.missing === 'route')
      return 'this edition of GitLab has no group hooks';
    if (!hasStatus(error, 403)) throw error;
    if (await this.#parts.hooks.ownsGroup(path)) return 'the licence of GitLab does not include group hooks';
    throw new HookFailure(
      `group ${path}: GITLAB_TOKEN is not allowed to do this (403): it needs the role Owner of the group. ` +
        'If you name the projects instead, the role Maintainer is enough',
      { cause: error },
    );
  }

  #hookOfGroup(path: string): Promise<Hook | undefined> {
    const key = path.toLowerCase();
    const hook = this.#groupHooks.get(key) ?? findHook(this.#parts, { kind: 'group', path });
    this.#groupHooks.set(key, hook);
    return hook;
  }
}

/** Finds the webhook of an owner that points to the service. If there are several, finds the oldest. */
export async function findHook(
  { hooks, desired }: Omit<WebhookAdminParts, 'gitlab'>,
  owner: HookOwner,
): Promise<Hook | undefined> {
  let oldest: Hook | undefined;
  for await (const hook of hooks.list(owner))
    if (pointsToService(hook, desired) && (oldest === undefined || hook.id < oldest.id)) oldest = hook;
  return oldest;
}

/** Returns undefined if GitLab does not show the webhooks of a group to the token. Throws any other error. */
function undefinedIfHidden(error: unknown): undefined {
  if (!(error instanceof GitLabNotFound) && !hasStatus(error, 403)) throw error;
}

/**
 * Lists the projects of a group. Leaves out archived projects, because nothing can be pushed to them. Rejects if a
 * project cannot be read: a report without this project would look complete.
 */
async function listProjects(gitlab: GitLabClient, group: string): Promise<Project[]> {
  const projects: Project[] = [];
  for await (const project of (await gitlab.groupProjects(group, rejectUnreadable)) ?? [])
    if (!project.archived) projects.push(project);
  return projects;
}

function rejectUnreadable(_id: number | undefined, reason: string): never {
  throw new InvalidResponse(reason);
}

/** Returns the paths of the groups above a path, the outermost first. */
function ancestorsOf(path: string): string[] {
  const elements = path.split('/').slice(0, -1);
  return elements.map((_, index) => elements.slice(0, index + 1).join('/'));
}
