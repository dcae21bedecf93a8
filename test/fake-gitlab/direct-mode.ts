import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { devNull, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gitEnvironment } from './git.ts';
import type { StandIn } from './stand-in.ts';

/**
 * The oracle: what `GOPROXY=direct` makes of a repository on the stand-in. A module path has no room for a port, so
 * the stand-in is reached under the name of a host that need not exist, such as `gitlab.example`, by two detours:
 *
 * - The go command's own requests (`?go-get=1`) go through HTTP_PROXY, which the stand-in is as well. https is tried
 *   first and refused by the proxy; GOINSECURE lets the command go on with http.
 * - git is told by `url.<stand-in>.insteadOf` to go to the stand-in whenever it is sent to the host.
 *
 * Both carry the administrator's token, so private projects work too, in subgroups as well. A path with `.git` in it
 * needs the second detour only. With a relative URL the module path contains it: `gitlab.example/gitlab/group/project`.
 *
 * There may be several hosts: those of vanity paths, which the stand-in has to know of (`StandInOptions.vanity`), and those
 * of which the go command knows by itself where repositories are, such as github.com.
 */
export function directEnv(standIn: StandIn, host: string | readonly string[]): NodeJS.ProcessEnv {
  const hosts = [host].flat();
  const address = (url: string): string => url.replace('http://', `http://oauth2:${standIn.rootToken}@`);
  const rewrite = `url.${address(standIn.proxyUrl)}/.insteadOf`;
  // The stand-in's own address is what its answers for vanity paths name.
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
    // git itself must not take the proxy: curl reads HTTP_PROXY in lower case only, but HTTPS_PROXY in both.
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

/** What `go mod download -json` says of one module. Paths lead into the cache, which goes with the download. */
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

/** Modules as the go command downloaded them, in the order they were asked for, in a cache of their own. */
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
 * its reason in `Error`; that is no rejection.
 */
export async function downloadDirect(
  standIn: StandIn,
  host: string,
  ...queries: readonly string[]
): Promise<DirectDownload> {
  return await downloadWith(directEnv(standIn, host), ...queries);
}

/** The same in an environment that `directEnv` made and somebody changed. */
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
        // Exit status 1 with JSON is how failures of single modules come.
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

/** The go command's settings of this machine have no say. */
function withoutGoSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(([name]) => !/^GO[A-Z0-9]+$/.test(name) || name === 'GOROOT');
  return { ...Object.fromEntries(kept), HOME: devNull };
}
