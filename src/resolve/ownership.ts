import { Refuse } from '../errors.ts';
import { below, joinPath } from '../module/path-elements.ts';

/** One entry of MODULE_MAP: the module paths under `modulePrefix` belong to the projects under `projectPrefix`. */
export interface PathMapping {
  readonly modulePrefix: string;
  readonly projectPrefix: string;
}

/**
 * Which module paths belong to which project. The path is computed from the project and never read from a go.mod, so no
 * project can publish under the name of another. A path under our prefixes is never requested from anywhere else, so
 * nobody outside can serve a private module.
 */
export class Ownership {
  readonly #mappings: readonly PathMapping[];
  /** The prefixes of all private module paths, for display and for GONOSUMDB. */
  readonly prefixes: readonly string[];
  /** GITLAB_SCOPE: groups and projects to publish from; empty for all. */
  readonly scope: readonly string[];

  /** `modulePrefix` is MODULE_PREFIX; `map` is MODULE_MAP, which has precedence over it; `scope` is GITLAB_SCOPE. */
  constructor(modulePrefix: string, map: readonly PathMapping[] = [], scope: readonly string[] = []) {
    this.scope = scope;
    this.#mappings = [...map, { modulePrefix, projectPrefix: '' }];
    this.prefixes = [...new Set(this.#mappings.map((mapping) => mapping.modulePrefix))];
  }

  /**
   * Whether a module path is private: one of our prefixes, a path below a prefix, or a path above a prefix. When the go
   * command looks for a package, it asks for every parent of the package's path.
   */
  isPrivate(modulePath: string): boolean {
    return this.prefixes.some(
      (prefix) => below(modulePath, prefix) !== undefined || below(prefix, modulePath) !== undefined,
    );
  }

  /** Whether GITLAB_SCOPE includes a project. GitLab ignores the case of paths. */
  isInScope(projectPath: string): boolean {
    return (
      this.scope.length === 0 ||
      this.scope.some((path) => below(projectPath.toLowerCase(), path.toLowerCase()) !== undefined)
    );
  }

  /**
   * The module paths that a project's root can have, without the `/vN` of its go.mod. There are several if MODULE_MAP
   * names the project several times, as for gopkg.in/x.v1 and gopkg.in/x.v2. `projectPath` is the full path of the project
   * in GitLab. Throws Refuse if MODULE_MAP gives all of these paths to other projects.
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

  /** The project path of a module path, for a module at the root of its project; undefined outside our prefixes. */
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
