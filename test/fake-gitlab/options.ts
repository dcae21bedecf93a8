/** The properties of the GitLab that the stand-in imitates. */
export interface StandInOptions {
  /** GitLab's relative URL root: everything is served under this path, for example `/gitlab`. */
  readonly relativeUrl?: string;
  /** Archives per minute, project and token; default 5, as in GitLab. */
  readonly archiveLimit?: number | 'off';
  /** Default 100, as in GitLab. */
  readonly perPageMax?: number;
  /** Default: a free port. */
  readonly port?: number;
  /** Default true. False is an instance without the licence (403); `community` is the edition that lacks the route (404). */
  readonly groupHooks?: boolean | 'community';
  /** The delay of every API request, in milliseconds. */
  readonly latencyMs?: number;
  /** The time-out of a hook call in milliseconds; default 10,000, as in GitLab. */
  readonly hookTimeoutMs?: number;
  /** The import path on another host for the root of each project, mapped to the project's full path. `?go-get=1` works for these too. */
  readonly vanity?: ReadonlyMap<string, string>;
}
