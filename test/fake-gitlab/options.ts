/** What kind of GitLab to stand in for. */
export interface StandInOptions {
  /** Serves everything under this path, as GitLab's relative URL: `/gitlab`. */
  readonly relativeUrl?: string;
  /** Archives a minute for each project and token; default 5, as GitLab's. */
  readonly archiveLimit?: number | 'off';
  /** Default 100, as GitLab's. */
  readonly perPageMax?: number;
  /** Default: a free one. */
  readonly port?: number;
  /** Default true. False is an instance without the licence (403); `community` is the edition that lacks the route (404). */
  readonly groupHooks?: boolean | 'community';
  /** How long every API request waits first, in milliseconds. */
  readonly latencyMs?: number;
  /** How long a hook may take to answer; default 10,000 milliseconds, as GitLab's. */
  readonly hookTimeoutMs?: number;
  /** Full paths of projects by the import path of their root on another host: `?go-get=1` is answered for these too. */
  readonly vanity?: ReadonlyMap<string, string>;
}
