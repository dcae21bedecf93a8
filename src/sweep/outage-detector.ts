import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Project } from '../gitlab/schema.ts';
import { ErrorResponse } from '../gitlab/error-response.ts';

/** This many failed projects in a row mean that GitLab or the store is down. */
const OUTAGE_FAILURES = 5;

/**
 * Distinguishes an outage from single broken projects. One project that cannot be read does not stop a sweep; several
 * in a row are an outage. Two kinds of failure say nothing about the other projects, so they are logged and not
 * counted:
 * - the project failed in the previous sweep too: its repository is damaged, or its storage is down;
 * - GitLab answered 403, which is about the role of the token in that project.
 */
export class OutageDetector {
  readonly #log: Logger;
  #failuresInARow = 0;
  #hasSuccess = false;
  #lastError: unknown;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Whether OUTAGE_FAILURES projects failed in a row, so that it is pointless to scan more of them. */
  get isOutage(): boolean {
    return this.#failuresInARow >= OUTAGE_FAILURES;
  }

  /**
   * Runs the work on a project and resolves to whether it succeeded. Logs a failure, and counts it unless the project also
   * failed in the previous sweep (`failedBefore`) or GitLab answered 403.
   */
  async run({ id, path }: Project, failedBefore: boolean, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.#failuresInARow = 0;
      this.#hasSuccess = true;
      return true;
    } catch (error) {
      this.#log.warn(
        { event: 'project.failed', projectId: id, project: path, reason: messageOf(error) },
        'could not compare the tags of a project with the store; the next sweep tries again',
      );
      if (failedBefore || (error instanceof ErrorResponse && error.status === 403)) return false;
      this.#failuresInARow++;
      this.#lastError = error;
      return false;
    }
  }

  /** Whether the sweep as a whole failed: there was an outage, or projects failed and none succeeded. */
  get hasSweepFailed(): boolean {
    return this.isOutage || (this.#lastError !== undefined && !this.#hasSuccess);
  }

  /** Throws the last counted failure. */
  throwLastError(): never {
    throw this.#lastError;
  }
}
