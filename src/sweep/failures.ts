import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Project } from '../gitlab/schema.ts';
import { ErrorResponse } from '../gitlab/error-response.ts';

/** So many projects in a row that cannot be read are an outage of GitLab or of the store. */
const OUTAGE = 5;

/**
 * One project that cannot be read is no reason to leave the others out; several in a row are an outage. What says nothing
 * about the others is told and not counted: a project that could not be read the last time either (a damaged repository, or
 * one on a storage that is down), and a 403, which is about the token's role in that project.
 */
export class Failures {
  readonly #log: Logger;
  #inARow = 0;
  #succeeded = false;
  #last: unknown;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Whether it is of no use to go on. */
  get areTooMany(): boolean {
    return this.#inARow >= OUTAGE;
  }

  /** Does the work on a project, and resolves to whether that succeeded. If not, it is told, and counted unless it failed the last time. */
  async count({ id, path }: Project, failedBefore: boolean, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.#inARow = 0;
      this.#succeeded = true;
      return true;
    } catch (error) {
      this.#log.warn(
        { projectId: id, project: path, reason: messageOf(error) },
        'the tags of a project could not be compared with the store; the next sweep tries it again',
      );
      if (failedBefore || (error instanceof ErrorResponse && error.status === 403)) return false;
      this.#inARow++;
      this.#last = error;
      return false;
    }
  }

  /** Whether there were too many, or nothing else: then the sweep failed, too. */
  get areAll(): boolean {
    return this.areTooMany || (this.#last !== undefined && !this.#succeeded);
  }

  /** Throws the last failure. */
  throwLast(): never {
    throw this.#last;
  }
}
