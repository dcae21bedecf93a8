import { buffer } from 'node:stream/consumers';
import { ZipFile } from 'yazl';
import { parseModulePath, type ModulePath } from '../../src/module/path.ts';
import { parseVersion, type Version } from '../../src/module/version.ts';
import { moduleKey } from '../../src/store/layout.ts';
import type { Store } from '../../src/store/store.ts';

/** The three files of a module version. */
export interface ModuleFiles {
  readonly info: Buffer;
  readonly mod: Buffer;
  readonly zip: Buffer;
}

/** Parses a module path. Throws if it is invalid. */
export function modulePath(text: string): ModulePath {
  const path = parseModulePath(text);
  if (typeof path !== 'string') throw new Error(`${text}: ${path.reason}`);
  return path;
}

/** Parses a version. Throws if it is invalid. */
export function version(text: string): Version {
  const parsed = parseVersion(text);
  if (parsed === undefined) throw new Error(`${text} is not a version`);
  return parsed;
}

/** The time of every file in a zip. With the current time, a second zip of the same module would be different. */
const mtime = new Date('2024-02-03T04:05:06Z');

/**
 * Creates the files of a module with a package of one function, and with an empty package in `inner/`. `gomod` replaces
 * the go.mod. `padding` is the size of an additional file in the zip, in bytes.
 */
export async function makeModule(
  path: string,
  at: string,
  gomod = `module ${path}\n\ngo 1.21\n`,
  padding = 0,
): Promise<ModuleFiles> {
  const name = (path.split('/').findLast((element) => !/^v[0-9]+$/.test(element)) ?? '')
    .replace(/[^a-z]/gi, '')
    .toLowerCase();
  const zip = new ZipFile();
  zip.addBuffer(Buffer.from(gomod), `${path}@${at}/go.mod`, { mtime });
  zip.addBuffer(
    Buffer.from(`package ${name}\n\nfunc Version() string { return "${at}" }\n`),
    `${path}@${at}/${name}.go`,
    { mtime },
  );
  zip.addBuffer(Buffer.from('package inner\n'), `${path}@${at}/inner/inner.go`, { mtime });
  if (padding > 0) zip.addBuffer(Buffer.alloc(padding, 'x'), `${path}@${at}/padding.txt`, { mtime, compress: false });
  zip.end();
  return {
    info: Buffer.from(JSON.stringify({ Version: at, Time: '2024-02-03T04:05:06Z' })),
    mod: Buffer.from(gomod),
    zip: await buffer(zip.outputStream),
  };
}

/** Writes a module version to the store in the order of publishing, with `.info` last. Returns its files. */
export async function publish(
  store: Store,
  path: string,
  at: string,
  gomod?: string,
  padding?: number,
): Promise<ModuleFiles> {
  const files = await makeModule(path, at, gomod, padding);
  for (const file of ['zip', 'mod', 'info'] as const)
    await store.put(moduleKey(modulePath(path), version(at), file), files[file]);
  return files;
}
