import type { Git } from '../fake-gitlab/git.ts';
import type { StandIn } from '../fake-gitlab/stand-in.ts';
import type { Content } from './content.ts';

/** The objects that all measurements share. */
export interface Bench {
  readonly gitlab: StandIn;
  readonly git: Git;
  readonly content: Content;
  /** The folder for all files. It is removed at the end. */
  readonly folder: string;
  /** The signal that ends the measurement with an error. */
  readonly deadline: AbortSignal;
}
