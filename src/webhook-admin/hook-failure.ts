import { ErrorResponse, GitLabNotFound, messageInBody } from '../gitlab/error-response.ts';
import { WrongGitLabSettings } from '../gitlab/instance.ts';
import type { HookOwner } from '../gitlab/webhooks.ts';

/** GitLab refused to show or change webhooks. The message is one line that tells the user what to do. */
export class HookFailure extends Error {
  override readonly name = 'HookFailure';
  /** Whether the failure concerns only one owner, so that the work on other owners may still succeed. */
  readonly concernsOneOwner: boolean;

  constructor(
    message: string,
    { cause, concernsOneOwner = false }: { readonly cause: unknown; readonly concernsOneOwner?: boolean },
  ) {
    super(message, { cause });
    this.concernsOneOwner = concernsOneOwner;
  }
}

/** What GITLAB_TOKEN needs to change webhooks, by kind of owner. */
const REQUIRED_ROLES = {
  project: 'the role Maintainer of the project',
  group: 'the role Owner of the group',
  system: 'a token of an administrator',
} as const;

/** Returns the name of an owner for reports: `group platform`, `project platform/lib`, `system hook`. */
export function ownerName(owner: HookOwner): string {
  return owner.kind === 'system' ? 'system hook' : `${owner.kind} ${owner.path}`;
}

/**
 * Runs `calls` for the webhooks of an owner. Rejects with HookFailure if GitLab refuses a call, and with the original
 * error if a later attempt may succeed.
 */
export async function explainErrors<T>(owner: HookOwner, calls: () => Promise<T>): Promise<T> {
  try {
    return await calls();
  } catch (error) {
    throw explainError(error, owner);
  }
}

/** Converts an error that the user has to solve into a HookFailure. Returns any other error unchanged. */
export function explainError(error: unknown, owner?: HookOwner): unknown {
  const prefix = owner === undefined ? '' : `${ownerName(owner)}: `;
  if (error instanceof GitLabNotFound)
    return new HookFailure(`${prefix}it no longer exists in GitLab, or GITLAB_TOKEN cannot see it`, {
      cause: error,
      concernsOneOwner: true,
    });
  if (error instanceof WrongGitLabSettings) return new HookFailure(error.message, { cause: error });
  if (!(error instanceof ErrorResponse)) return error;
  const { status, text } = error;
  if (status === 401)
    return new HookFailure(`GitLab does not accept GITLAB_TOKEN (401): it is wrong, expired or revoked`, {
      cause: error,
    });
  if (status === 403 && text.includes('insufficient_scope')) {
    return new HookFailure('GITLAB_TOKEN may not change webhooks (403): it needs the scope api', { cause: error });
  }
  if (status === 403) {
    const needed = owner === undefined ? 'at least the role Reporter' : REQUIRED_ROLES[owner.kind];
    return new HookFailure(`${prefix}GITLAB_TOKEN is not allowed to do this (403): it needs ${needed}`, {
      cause: error,
    });
  }
  if (status === 429 || status >= 500) return error;
  return new HookFailure(`${prefix}GitLab answered ${status}: ${messageInBody(text)}`, {
    cause: error,
    concernsOneOwner: true,
  });
}

/** Whether the error is a response of GitLab with this status. */
export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof ErrorResponse && error.status === status;
}
