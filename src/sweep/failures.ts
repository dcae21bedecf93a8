import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Project } from '../gitlab/answers.ts';

/** So many projects in a row that cannot be read are an outage of GitLab or of the store. */
const OUTAGE = 5;

/** One project that cannot be read is no reason to leave the others out; several in a row are an outage. */
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

  /** Does the work on a project. If that fails, it is told and counted. */
  async count({ id, path }: Project, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#inARow = 0;
      this.#succeeded = true;
    } catch (error) {
      this.#inARow++;
      this.#last = error;
      this.#log.warn({ projectId: id, project: path, reason: messageOf(error) }, 'the tags of a project could not be compared with the store; the next sweep tries it again');
    }
  }

  /** Throws the last failure if there were too many, or if nothing else. */
  throwIfTooMany(): void {
    if (this.areTooMany || (this.#last !== undefined && !this.#succeeded)) throw this.#last;
  }
}
