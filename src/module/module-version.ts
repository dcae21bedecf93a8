import { parseModulePath, type ModulePath } from './path.ts';
import { checkModuleVersion, parseVersion, type Version } from './version.ts';

/**
 * Parses an argument `MODULE` or `MODULE@VERSION`. Throws an Error with a one-line message if the argument is invalid.
 */
export function parseModuleVersion(argument: string): { module: ModulePath; version: Version | undefined } {
  const at = argument.lastIndexOf('@');
  const path = at < 0 ? argument : argument.slice(0, at);
  const module = parseModulePath(path);
  if (typeof module !== 'string') throw new Error(`${JSON.stringify(path)} is not a module path: ${module.reason}`);
  if (at < 0) return { module, version: undefined };
  const text = argument.slice(at + 1);
  const version = parseVersion(text);
  if (version === undefined)
    throw new Error(
      `${JSON.stringify(text)} of ${JSON.stringify(argument)} is not a version: use the full form, such as v1.2.3`,
    );
  const mismatch = checkModuleVersion(module, version);
  if (mismatch !== undefined) throw new Error(`${JSON.stringify(argument)} cannot be a module version: ${mismatch}`);
  return { module, version };
}

/** Returns `module@version`, the name of the version in locks and messages. */
export function moduleVersionName(module: ModulePath, version: Version): string {
  return `${module}@${version}`;
}
