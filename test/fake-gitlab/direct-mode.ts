import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { devNull, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gitEnvironment } from './git.ts';
import type { StandIn } from './stand-in.ts';

/**
 * Returns the environment in which the go command downloads from the stand-in in direct mode. The result of the go
 * command is the reference for tests. A module path cannot contain a port, so two redirections lead from a host such as
 * `gitlab.example`, which does not have to exist, to the stand-in:
 *
 * - HTTP_PROXY redirects the go command's own requests (`?go-get=1`), because the stand-in is also a forward proxy. The
 *   go command tries https first, which the proxy refuses. With GOINSECURE, it continues with http.
 * - `url.<stand-in>.insteadOf` makes git connect to the stand-in instead of the host.
 *
 * Both redirections carry the administrator's token, so that private projects work too, even in subgroups. A path that
 * contains `.git` needs only the second redirection. With a relative URL, the module path contains this URL:
 * `gitlab.example/gitlab/group/project`.
 *
 * `host` can be a list. It contains the hosts of vanity paths, which `StandInOptions.vanity` configures, and hosts
 * whose repositories the go command locates itself, such as github.com.
 */
export function directEnv(standIn: StandIn, host: string | readonly string[]): NodeJS.ProcessEnv {
  const hosts = [host].flat();
  const address = (url: string): string => url.replace('http://', `http://oauth2:${standIn.rootToken}@`);
  const rewrite = `url.${address(standIn.proxyUrl)}/.insteadOf`;
  // The stand-in's responses for vanity paths contain its own address.
  const origins = [standIn.proxyUrl, ...hosts.flatMap((name) => [`https://${name}`, `http://${name}`])];
  const settings = origins.map((origin) => [rewrite, `${origin}/`] as const);
  return {
    ...withoutGoSettings(gitEnvironment()),
    GIT_CONFIG_COUNT: `${settings.length}`,
    ...Object.fromEntries(
      settings.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
    // git must not use the proxy. curl ignores HTTP_PROXY in upper case, but reads HTTPS_PROXY in both cases.
    HTTP_PROXY: address(standIn.proxyUrl),
    HTTPS_PROXY: address(standIn.proxyUrl),
    NO_PROXY: '127.0.0.1',
    GOENV: 'off',
    GOPROXY: 'direct',
    GOSUMDB: 'off',
    GONOSUMDB: '*',
    GOINSECURE: hosts.join(','),
    GOVCS: '*:all',
    GOTOOLCHAIN: 'local',
    GOTELEMETRY: 'off',
    GOFLAGS: '-mod=mod -modcacherw',
    GO111MODULE: 'on',
  };
}

/**
 * The output of `go mod download -json` for one module. The paths are in the cache, which is removed with the download.
 */
export interface DownloadedModule {
  readonly Path: string;
  readonly Version: string;
  readonly Query?: string;
  readonly Error?: string;
  readonly Info?: string;
  readonly GoMod?: string;
  readonly Zip?: string;
  readonly Dir?: string;
  readonly Sum?: string;
  readonly GoModSum?: string;
  readonly Origin?: {
    readonly VCS?: string;
    readonly URL?: string;
    readonly Subdir?: string;
    readonly Hash?: string;
    readonly Ref?: string;
  };
}

/** Modules that the go command has downloaded to a separate cache, in the order of the request. */
export class DirectDownload implements AsyncDisposable {
  readonly modules: readonly DownloadedModule[];
  readonly #folder: string;

  constructor(modules: readonly DownloadedModule[], folder: string) {
    this.modules = modules;
    this.#folder = folder;
  }

  /** Removes the cache. */
  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }
}

/**
 * Runs `go mod download -json <module>@<query> …` in direct mode with an empty module cache. A module that fails has
 * the reason in `Error`, and the promise does not reject.
 */
export async function downloadDirect(
  standIn: StandIn,
  host: string,
  ...queries: readonly string[]
): Promise<DirectDownload> {
  return await downloadWith(directEnv(standIn, host), ...queries);
}

/** Does the same as `downloadDirect`, in an environment that is based on `directEnv`. */
export async function downloadWith(env: NodeJS.ProcessEnv, ...queries: readonly string[]): Promise<DirectDownload> {
  const folder = await mkdtemp(join(tmpdir(), 'go-direct-'));
  const environment = {
    ...env,
    GOMODCACHE: join(folder, 'mod'),
    GOPATH: join(folder, 'path'),
    GOCACHE: join(folder, 'build'),
  };
  const run = promisify(execFile)('go', ['mod', 'download', '-json', ...queries], {
    cwd: folder,
    env: environment,
    maxBuffer: 64 << 20,
  });
  try {
    const output = await run.then(
      ({ stdout }) => stdout,
      (error: Error & { stdout?: string; stderr?: string }) => {
        // If some of the modules fail, the go command prints JSON and exits with status 1.
        if (error.stdout) return error.stdout;
        throw new Error(`go mod download: ${error.stderr ?? ''}`, { cause: error });
      },
    );
    return new DirectDownload(
      JSON.parse(`[${output.trim().replaceAll(/^\}\n\{/gm, '},\n{')}]`) as DownloadedModule[],
      folder,
    );
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Removes the settings of the go command on this machine from the environment. */
function withoutGoSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(([name]) => !/^GO[A-Z0-9]+$/.test(name) || name === 'GOROOT');
  return { ...Object.fromEntries(kept), HOME: devNull };
}
