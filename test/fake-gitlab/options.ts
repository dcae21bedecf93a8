/** The properties of the GitLab that the stand-in imitates. */
export interface StandInOptions {
  /** GitLab's relative URL root, such as `/gitlab`. The stand-in serves everything below this path. */
  readonly relativeUrl?: string;
  /** The limit on archives per minute, project and token. The default is 5, as in GitLab. */
  readonly archiveLimit?: number | 'off';
  /** The maximum number of items on a page. The default is 100, as in GitLab. */
  readonly perPageMax?: number;
  /** The port. The default is a free port. */
  readonly port?: number;
  /**
   * Whether group webhooks are available. The default is true. With false, the licence does not include them (403).
   * With `community`, the edition does not have the route (404).
   */
  readonly groupHooks?: boolean | 'community';
  /** The delay of every API request, in ms. */
  readonly latencyMs?: number;
  /** The timeout of a webhook call, in ms. The default is 10,000, as in GitLab. */
  readonly hookTimeoutMs?: number;
  /**
   * Maps import paths on other hosts to the full paths of projects. Each import path is the root of a repository. The
   * stand-in responds to `?go-get=1` for these paths too.
   */
  readonly vanity?: ReadonlyMap<string, string>;
}
