import type { Git } from '../fake-gitlab/git.ts';
import type { StandIn } from '../fake-gitlab/stand-in.ts';
import type { Content } from './content.ts';

/** What all measurements work with. */
export interface Bench {
  readonly gitlab: StandIn;
  readonly git: Git;
  readonly content: Content;
  /** A folder for everything; removed at the end. */
  readonly folder: string;
  /** When it aborts, measuring ends with an error. */
  readonly deadline: AbortSignal;
}
