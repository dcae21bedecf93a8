import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Project } from '../gitlab/schema.ts';
import { ErrorResponse } from '../gitlab/error-response.ts';

/** After this many consecutive failures, the sweep assumes that GitLab or the store is down. */
const OUTAGE_FAILURES = 5;

/**
 * Distinguishes an outage from failures of single projects. One project that cannot be read does not stop a sweep.
 * Several consecutive failures are an outage. Two kinds of failures do not indicate an outage, so they are logged but
 * not counted:
 * - The project also failed in the previous sweep. Its repository may be damaged, or its storage may be down.
 * - GitLab answered 403. This concerns only the role of the token in that project.
 */
export class OutageDetector {
  readonly #log: Logger;
  #failuresInARow = 0;
  #hasSuccess = false;
  #lastError: unknown;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Whether OUTAGE_FAILURES consecutive failures were counted. Further scans would probably fail too. */
  get isOutage(): boolean {
    return this.#failuresInARow >= OUTAGE_FAILURES;
  }

  /**
   * Runs `work` for a project, and resolves to whether it succeeded. Logs a failure. Counts the failure unless the
   * project also failed in the previous sweep (`failedBefore`) or GitLab answered 403.
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

  /** Whether the whole sweep failed: there was an outage, or failures were counted and no project succeeded. */
  get hasSweepFailed(): boolean {
    return this.isOutage || (this.#lastError !== undefined && !this.#hasSuccess);
  }

  /** Throws the error of the last counted failure. */
  throwLastError(): never {
    throw this.#lastError;
  }
}
