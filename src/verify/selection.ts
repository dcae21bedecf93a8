import { parseModulePath, type ModulePath } from '../module/path.ts';
import { checkModuleVersion, parseVersion, type Version } from '../module/version.ts';

/** Which versions to verify: all of them, or for some modules all or the named ones. */
export type Selection = 'everything' | ReadonlyMap<ModulePath, 'all' | ReadonlySet<Version>>;

/**
 * Reads arguments like `MODULE` and `MODULE@VERSION`; none selects everything. Throws Error with one line for the first
 * argument that is neither.
 */
export function parseSelection(args: readonly string[]): Selection {
  if (args.length === 0) return 'everything';
  const selection = new Map<ModulePath, 'all' | Set<Version>>();
  for (const argument of args) {
    const { module, version } = parseModuleArgument(argument);
    const selected = selection.get(module);
    if (version === undefined) selection.set(module, 'all');
    else if (selected === undefined) selection.set(module, new Set([version]));
    else if (selected !== 'all') selected.add(version);
  }
  return selection;
}

/** Whether a version is among the selected. */
export function isSelected(selection: Selection, module: ModulePath, version: Version): boolean {
  if (selection === 'everything') return true;
  const versions = selection.get(module);
  return versions === 'all' || versions?.has(version) === true;
}

/** Reads `MODULE` or `MODULE@VERSION`. Throws Error with one line for what is neither. */
export function parseModuleArgument(argument: string): { module: ModulePath; version: Version | undefined } {
  const at = argument.lastIndexOf('@');
  const path = at < 0 ? argument : argument.slice(0, at);
  const module = parseModulePath(path);
  if (typeof module !== 'string') throw new Error(`${JSON.stringify(path)} is not a module path: ${module.reason}`);
  if (at < 0) return { module, version: undefined };
  const text = argument.slice(at + 1);
  const version = parseVersion(text);
  if (version === undefined)
    throw new Error(
      `${JSON.stringify(text)} of ${JSON.stringify(argument)} is not a version: it has to be given in full, as v1.2.3`,
    );
  const mismatch = checkModuleVersion(module, version);
  if (mismatch !== undefined) throw new Error(`${JSON.stringify(argument)} cannot be a module version: ${mismatch}`);
  return { module, version };
}
