import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseModulePath, splitPathVersion, unescapeUpperCase, type ModulePath } from '../../src/module/path.ts';
import { parsePseudoVersion } from '../../src/module/pseudo.ts';
import { isPseudoVersion, unescapeVersion, type Version } from '../../src/module/version.ts';
import { parseTxtar } from './txtar.ts';

/** A module version from the go command's own tests, in the form of a repository. */
export interface CorpusModule {
  /** `<path>@<version>`. */
  readonly name: string;
  readonly path: ModulePath;
  readonly version: Version;
  /** The import path of the repository root, which is the module path without `/vN`. */
  readonly root: string;
  /** The contents by path, including the go.mod if the module has one. */
  readonly files: ReadonlyMap<string, string>;
  /** The tag, or undefined for a pseudo-version, whose commit has no tag. */
  readonly tag: string | undefined;
  /** The time of the commit, if the corpus contains it. */
  readonly time: Date | undefined;
}

/** An archive that cannot be a version of a module in a repository, and the reason. */
export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

/** All archives. Each is either a module or left out. */
export interface Corpus {
  readonly modules: readonly CorpusModule[];
  readonly leftOut: readonly LeftOut[];
}

/**
 * Reads the module archives in `cmd/go/testdata/mod` of an installed Go. The README in that folder and the proxy in
 * cmd/go/proxy_test.go define the format. `goroot` is the output of `go env GOROOT`.
 */
export function readCorpus(goroot: string): Corpus {
  const folder = join(goroot, 'src', 'cmd', 'go', 'testdata', 'mod');
  const archives = readdirSync(folder).filter((file) => file.includes('_v'));
  const all = archives.map((file) => readModule(file.replace(/\.txt$/, ''), readFileSync(join(folder, file), 'utf8')));
  return {
    modules: all.filter((one): one is CorpusModule => 'files' in one),
    leftOut: all.filter((one): one is LeftOut => 'reason' in one),
  };
}

function readModule(name: string, text: string): CorpusModule | LeftOut {
  const split = name.lastIndexOf('_v');
  const path = parseModulePath(unescapeUpperCase(name.slice(0, split).replaceAll('_', '/')) ?? '');
  if (typeof path !== 'string') return { name, reason: `not a module path: ${path.reason}` };
  const version = unescapeVersion(name.slice(split + 1)) as Version | undefined;
  if (version === undefined) return { name, reason: 'not a version' };
  // The go command has a special case for example.net in its own tests (repoRootFromVCSPaths in cmd/go).
  if (path.startsWith('example.net/')) return { name, reason: 'direct mode finds no modules on example.net' };
  const archive = parseTxtar(text);
  const absolute = [...archive.keys()].find((file) => file.startsWith('/'));
  if (absolute !== undefined) return { name, reason: `a file that lies outside of the module: ${absolute}` };
  const root = rootOf(path);
  return {
    name: `${path}@${version}`,
    path,
    version,
    root,
    files: filesOf(archive, [path, root]),
    tag: isPseudoVersion(version) ? undefined : version.replace(/\+incompatible$/, ''),
    time: timeOf(version, archive.get('.info')),
  };
}

/**
 * Returns the files of the repository. Go's test proxy serves `.mod` as the go.mod. If the archive has no go.mod and
 * `.mod` is not what the go command would generate, the repository gets a go.mod with the content of `.mod`.
 */
function filesOf(archive: ReadonlyMap<string, string>, madeUp: readonly string[]): ReadonlyMap<string, string> {
  const files = new Map([...archive].filter(([file]) => !['.info', '.mod', '.zip'].includes(file)));
  const mod = archive.get('.mod');
  const isMadeUp =
    mod === undefined || madeUp.some((path) => [`module ${path}`, `module "${path}"`].includes(mod.trim()));
  if (!files.has('go.mod') && !isMadeUp) files.set('go.mod', mod);
  return files;
}

function rootOf(path: ModulePath): string {
  const split = splitPathVersion(path);
  return split?.major.startsWith('/') ? split.prefix : path;
}

function timeOf(version: Version, info: string | undefined): Date | undefined {
  const digits = parsePseudoVersion(version)?.timestamp;
  if (digits !== undefined) return new Date(digits.replace(/^(....)(..)(..)(..)(..)(..)$/, '$1-$2-$3T$4:$5:$6Z'));
  const { Time: time } = JSON.parse(info ?? '{}') as { Time?: string };
  return time === undefined ? undefined : new Date(time);
}
