import { Refuse } from '../errors.ts';
import { below, joinPath } from '../module/elements.ts';

/** One entry of MODULE_MAP: modules under `modulePrefix` are the projects under `projectPrefix`. */
export interface PathMapping {
  readonly modulePrefix: string;
  readonly projectPrefix: string;
}

/**
 * Which module paths belong to which project. The path is computed from the project and never taken from a go.mod,
 * so that no project can publish under another's name; and what lies under our prefixes is never asked for
 * anywhere else, so that nobody outside can answer for a private module.
 */
export class Ownership {
  readonly #mappings: readonly PathMapping[];
  /** The prefixes of all private module paths, for people and for GONOSUMDB. */
  readonly prefixes: readonly string[];

  /** GITLAB_SCOPE: groups and projects to publish from; empty for all. */
  readonly scope: readonly string[];

  /** `modulePrefix` is MODULE_PREFIX; `map` is MODULE_MAP, which comes before it; `scope` is GITLAB_SCOPE. */
  constructor(modulePrefix: string, map: readonly PathMapping[] = [], scope: readonly string[] = []) {
    this.scope = scope;
    this.#mappings = [...map, { modulePrefix, projectPrefix: '' }];
    this.prefixes = [...new Set(this.#mappings.map((mapping) => mapping.modulePrefix))];
  }

  /**
   * Whether a module path is ours to answer: one of our prefixes, anything below, or what stands above one. The go
   * command, looking for a package, asks for every prefix of its path.
   */
  isPrivate(modulePath: string): boolean {
    return this.prefixes.some(
      (prefix) => below(modulePath, prefix) !== undefined || below(prefix, modulePath) !== undefined,
    );
  }

  /** Whether a project is to be published from. GitLab ignores the case of paths. */
  isInScope(projectPath: string): boolean {
    return (
      this.scope.length === 0 ||
      this.scope.some((path) => below(projectPath.toLowerCase(), path.toLowerCase()) !== undefined)
    );
  }

  /**
   * The module paths that a project's root can have, without the `/vN` of its go.mod; several where MODULE_MAP names the
   * project several times, as for gopkg.in/x.v1 and gopkg.in/x.v2. `projectPath` is its full path in GitLab. Throws
   * Refuse where MODULE_MAP gives them all to other projects.
   */
  rootsOf(projectPath: string): readonly string[] {
    const mapping = longest(this.#mappings, (candidate) => candidate.projectPrefix, projectPath);
    const equal = this.#mappings.filter((candidate) => candidate.projectPrefix === mapping?.projectPrefix);
    const roots = equal.map(({ modulePrefix, projectPrefix }) =>
      joinPath(modulePrefix, below(projectPath, projectPrefix) ?? ''),
    );
    const owned = roots.filter((root) => this.projectPathOf(root) === projectPath);
    if (owned.length > 0) return owned;
    const [root = ''] = roots;
    throw new Refuse(
      `MODULE_MAP gives the module path ${root} of project ${projectPath} to ${this.projectPathOf(root) ?? 'nobody'}`,
    );
  }

  /** The project path that a module path stands for, were the module at a project's root; undefined outside our prefixes. */
  projectPathOf(modulePath: string): string | undefined {
    const mapping = longest(this.#mappings, (candidate) => candidate.modulePrefix, modulePath);
    return mapping && joinPath(mapping.projectPrefix, below(modulePath, mapping.modulePrefix) ?? '');
  }
}

/** The mapping with the longest prefix that covers the path. */
function longest(
  mappings: readonly PathMapping[],
  prefixOf: (mapping: PathMapping) => string,
  path: string,
): PathMapping | undefined {
  return mappings
    .filter((mapping) => below(path, prefixOf(mapping)) !== undefined)
    .toSorted((a, b) => prefixOf(b).length - prefixOf(a).length)[0];
}
