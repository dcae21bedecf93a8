import { z } from 'zod';
import { messageOf } from '../errors.ts';
import type { GitLabClient } from './client.ts';
import { ErrorResponse, GitLabNotFound } from './error-response.ts';

/** GITLAB_URL or GITLAB_TOKEN is wrong. The message says what a person has to change. */
export class WrongGitLabSettings extends Error {
  override readonly name = 'WrongGitLabSettings';
}

/** The oldest version of GitLab that modpress supports. */
const OLDEST_VERSION = 16;

/**
 * Checks that GITLAB_URL is the base URL of a GitLab that accepts GITLAB_TOKEN. Resolves to the version of GitLab;
 * undefined if the token may not read it. Rejects with WrongGitLabSettings, and with Retry while GitLab is down.
 */
export async function checkGitLab(gitlab: GitLabClient): Promise<string | undefined> {
  let body: unknown;
  try {
    body = await gitlab.metadata();
  } catch (error) {
    if (error instanceof GitLabNotFound) throw notGitLab(gitlab, messageOf(error));
    if (!(error instanceof ErrorResponse)) throw error;
    if (error.status === 404) throw notGitLab(gitlab, error.message);
    if (error.status === 401)
      throw new WrongGitLabSettings('GitLab does not accept GITLAB_TOKEN (401): it is wrong, expired or revoked');
    if (error.status === 403) return undefined;
    throw error;
  }
  const version = z.object({ version: z.string() }).safeParse(body).data?.version;
  if (version === undefined) throw notGitLab(gitlab, 'the response is not from the API of GitLab');
  return version;
}

/**
 * Rejects with WrongGitLabSettings if the user of the token is a member of no project. Rejects with Retry if GitLab
 * fails.
 */
export async function checkMembership(gitlab: GitLabClient): Promise<void> {
  const first = await gitlab.memberProjects()[Symbol.asyncIterator]().next();
  if (first.done !== true) return;
  throw new WrongGitLabSettings(
    'GITLAB_TOKEN sees no project: add the user of the token to a group or project, at least with the role Reporter, or set GITLAB_SCOPE',
  );
}

/** Returns whether modpress supports this version of GitLab. */
export function isSupported(version: string): boolean {
  return Number.parseInt(version, 10) >= OLDEST_VERSION;
}

function notGitLab({ url }: GitLabClient, reason: string): WrongGitLabSettings {
  const advice = /\/api(?:\/v\d+)?$/.test(url)
    ? 'remove /api/v4 from its end'
    : 'set it to the address of the start page of GitLab';
  return new WrongGitLabSettings(`GITLAB_URL ${url} is not the base URL of GitLab: ${advice} (${reason})`);
}
