import { parseModuleVersion } from '../module/module-version.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';

/** The versions to verify: everything, or all or some versions of the named modules. */
export type Selection = 'everything' | ReadonlyMap<ModulePath, 'all' | ReadonlySet<Version>>;

/**
 * Parses arguments of the forms `MODULE` and `MODULE@VERSION`. An empty list selects everything. Throws an Error with a
 * one-line message for the first invalid argument.
 */
export function parseSelection(args: readonly string[]): Selection {
  if (args.length === 0) return 'everything';
  const selection = new Map<ModulePath, 'all' | Set<Version>>();
  for (const argument of args) {
    const { module, version } = parseModuleVersion(argument);
    const selected = selection.get(module);
    if (version === undefined) selection.set(module, 'all');
    else if (selected === undefined) selection.set(module, new Set([version]));
    else if (selected !== 'all') selected.add(version);
  }
  return selection;
}

/** Whether a version is selected. */
export function isSelected(selection: Selection, module: ModulePath, version: Version): boolean {
  if (selection === 'everything') return true;
  const versions = selection.get(module);
  return versions === 'all' || versions?.has(version) === true;
}
