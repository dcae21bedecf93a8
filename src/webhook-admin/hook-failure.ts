import { ErrorResponse, GitLabNotFound, messageInBody } from '../gitlab/error-response.ts';
import type { HookOwner } from '../gitlab/webhooks.ts';

/** GitLab does not let hooks be handled; the message is one line that says what a person has to do. */
export class HookFailure extends Error {
  override readonly name = 'HookFailure';
  /** Whether it is about this one owner, so that others may still work. */
  readonly single: boolean;

  constructor(message: string, { cause, single = false }: { cause: unknown; single?: boolean }) {
    super(message, { cause });
    this.single = single;
  }
}

const NEEDED = {
  project: 'the role Maintainer of the project',
  group: 'the role Owner of the group',
  system: 'a token of an administrator',
} as const;

/** How people call an owner: `group platform`, `project platform/lib`, `system hook`. */
export function nameOf(owner: HookOwner): string {
  return owner.kind === 'system' ? 'system hook' : `${owner.kind} ${owner.path}`;
}

/** Runs calls for an owner's hooks; rejects with HookFailure where GitLab refuses, with the error itself where it may work later. */
export async function forOwner<T>(owner: HookOwner, calls: () => Promise<T>): Promise<T> {
  try {
    return await calls();
  } catch (error) {
    throw explained(error, owner);
  }
}

/** The error as a HookFailure, if a person has to do something about it; `owner` is undefined before there is one. */
export function explained(error: unknown, owner?: HookOwner): unknown {
  const where = owner === undefined ? '' : `${nameOf(owner)}: `;
  if (error instanceof GitLabNotFound)
    return new HookFailure(`${where}it is gone from GitLab, or GITLAB_TOKEN may not see it`, {
      cause: error,
      single: true,
    });
  if (!(error instanceof ErrorResponse)) return error;
  const { status, text } = error;
  if (status === 401)
    return new HookFailure(`GitLab does not accept GITLAB_TOKEN (401): it is wrong, expired or revoked`, {
      cause: error,
    });
  if (status === 403 && text.includes('insufficient_scope')) {
    return new HookFailure('GITLAB_TOKEN may not change hooks (403): it needs the scope api', { cause: error });
  }
  if (status === 403) {
    const needed = owner === undefined ? 'at least the role Reporter' : NEEDED[owner.kind];
    return new HookFailure(`${where}GITLAB_TOKEN may not (403): it needs ${needed}`, { cause: error });
  }
  if (status === 429 || status >= 500) return error;
  return new HookFailure(`${where}GitLab answered ${status}: ${messageInBody(text)}`, { cause: error, single: true });
}

/** Whether GitLab has answered with this status. */
export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof ErrorResponse && error.status === status;
}
