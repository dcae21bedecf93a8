import type { Logger } from 'pino';
import { messageOf, Refuse, Retry } from '../errors.ts';
import { projectSubject } from '../requests/on-demand-request.ts';
import type { Ownership } from '../resolve/ownership.ts';
import type { Queues } from './queues.ts';

/** Invalidates the on-demand results about the modules of a project, given its full path. */
export type InvalidateProject = (projectPath: string) => Promise<void>;

/**
 * Returns the function that invalidates the on-demand results of a project after its tags have changed. It rejects with
 * Retry if Redis fails.
 */
export function invalidateProject(requests: Queues['requests'], ownership: Ownership): InvalidateProject {
  return async (projectPath) => {
    if (!requests) return;
    try {
      for (const root of rootsOf(ownership, projectPath)) await requests.invalidate(projectSubject(root));
    } catch (error) {
      throw new Retry('the results of on-demand requests could not be invalidated', { cause: error });
    }
  };
}

/** Returns the same function for a caller that cannot try again. It logs a failure and never rejects. */
export function invalidateOnce(invalidate: InvalidateProject, log: Logger): InvalidateProject {
  return async (project) => {
    await invalidate(project).catch((error: unknown) => {
      log.warn(
        { event: 'on-demand.invalidate-failed', project, reason: messageOf(error) },
        'results of on-demand requests may be out of date for 10 minutes',
      );
    });
  };
}

/** A project without a module path has no results. */
function rootsOf(ownership: Ownership, projectPath: string): readonly string[] {
  try {
    return ownership.rootsOf(projectPath);
  } catch (error) {
    if (error instanceof Refuse) return [];
    throw error;
  }
}
