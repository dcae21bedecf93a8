import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Project } from '../gitlab/client.ts';

/** What a look at a project came to. */
export interface Look {
  readonly tags: number;
  readonly queued: number;
  readonly recovered: number;
}

/** So many projects in a row that cannot be read are an outage of GitLab or of the store. */
const OUTAGE = 5;
const FAILED: Look = { tags: 0, queued: 0, recovered: 0 };

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

  /** What the look at a project came to; nothing, if it failed. */
  async count({ id, path }: Project, work: () => Promise<Look>): Promise<Look> {
    try {
      const result = await work();
      this.#inARow = 0;
      this.#succeeded = true;
      return result;
    } catch (error) {
      this.#inARow++;
      this.#last = error;
      this.#log.warn({ projectId: id, project: path, reason: messageOf(error) }, 'the tags of a project could not be compared with the store; the next sweep tries it again');
      return FAILED;
    }
  }

  /** Throws the last failure if there were too many, or if nothing else. */
  throwIfTooMany(): void {
    if (this.areTooMany || (this.#last !== undefined && !this.#succeeded)) throw this.#last;
  }
}
