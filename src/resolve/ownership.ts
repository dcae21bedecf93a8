import { Refuse } from '../errors.ts';
import { below, comparablePath, joinPath } from '../module/path-elements.ts';

/** One entry of MODULE_MAP: the module paths under `modulePrefix` belong to the projects under `projectPrefix`. */
export interface PathMapping {
  readonly modulePrefix: string;
  readonly projectPrefix: string;
}

/**
 * Determines which module paths belong to which project. The module path is computed from the project and never read
 * from a go.mod. Therefore no project can publish under the path of another project. Paths under the private prefixes
 * are never requested from an upstream proxy. Therefore nobody outside can serve a private module.
 */
export class Ownership {
  readonly #mappings: readonly PathMapping[];
  /** The private prefixes in the form of `comparablePath`. */
  readonly #comparable: readonly string[];
  /**
   * The prefixes of all private module paths: those of MODULE_MAP, and MODULE_PREFIX. With GITLAB_SCOPE, the groups and
   * projects of the scope below MODULE_PREFIX take its place.
   */
  readonly prefixes: readonly string[];
  /** The patterns of all private module paths, for GOPRIVATE and GONOSUMDB. */
  readonly patterns: readonly string[];
  /**
   * With a scope, the prefix of MODULE_MAP that contains MODULE_PREFIX. All paths below MODULE_PREFIX are then private,
   * so the upstream cannot provide modules outside the scope. Undefined without such a prefix.
   */
  readonly prefixAboveScope: string | undefined;
  /** The groups and projects from which modpress publishes (GITLAB_SCOPE). It is empty for all projects. */
  readonly scope: readonly string[];

  /**
   * `modulePrefix` is MODULE_PREFIX. `map` is MODULE_MAP, which has precedence over `modulePrefix`. `scope` is
   * GITLAB_SCOPE.
   */
  constructor(modulePrefix: string, map: readonly PathMapping[] = [], scope: readonly string[] = []) {
    this.scope = scope;
    this.#mappings = [...map, { modulePrefix, projectPrefix: '' }];
    const mapped = map.map((mapping) => mapping.modulePrefix);
    const unmapped = scope.length === 0 ? [modulePrefix] : scope.map((path) => joinPath(modulePrefix, path));
    this.prefixes = [...new Set([...mapped, ...unmapped])];
    this.prefixAboveScope =
      scope.length === 0 ? undefined : mapped.find((prefix) => below(modulePrefix, prefix) !== undefined);
    // A prefix of MODULE_MAP or of the scope can be a module itself, which `prefix/*` does not match.
    this.patterns = this.prefixes.map((prefix) => (prefix === modulePrefix ? `${prefix}/*` : prefix));
    this.#comparable = this.prefixes.map(comparablePath);
  }

  /**
   * Whether a module path is private. This includes the private prefixes, the paths below them, and the paths above
   * them. The paths above are included because the go command requests every parent path of a package. Upper and lower
   * case do not matter, and neither does `.git`: GitLab ignores both, and nobody outside may see such a path either.
   */
  isPrivate(modulePath: string): boolean {
    const path = comparablePath(modulePath);
    return this.#comparable.some((prefix) => below(path, prefix) !== undefined || below(prefix, path) !== undefined);
  }

  /** Whether GITLAB_SCOPE includes a project. GitLab ignores the case of paths. */
  isInScope(projectPath: string): boolean {
    return (
      this.scope.length === 0 ||
      this.scope.some((path) => below(projectPath.toLowerCase(), path.toLowerCase()) !== undefined)
    );
  }

  /**
   * Returns the module paths that the root of a project can have, without the `/vN` of its go.mod. There are several
   * paths if MODULE_MAP contains the project several times, for example for gopkg.in/x.v1 and gopkg.in/x.v2.
   * `projectPath` is the full path of the project in GitLab. Throws Refuse if MODULE_MAP assigns all of these paths to
   * other projects.
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
      `MODULE_MAP assigns the module path ${root} of project ${projectPath} to ${this.projectPathOf(root) ?? 'no project'}`,
    );
  }

  /**
   * Returns the path of the project whose root has this module path, or undefined for a path outside the private
   * prefixes.
   */
  projectPathOf(modulePath: string): string | undefined {
    const mapping = longest(this.#mappings, (candidate) => candidate.modulePrefix, modulePath);
    return mapping && joinPath(mapping.projectPrefix, below(modulePath, mapping.modulePrefix) ?? '');
  }
}

/** Returns the mapping with the longest prefix of the path. */
function longest(
  mappings: readonly PathMapping[],
  prefixOf: (mapping: PathMapping) => string,
  path: string,
): PathMapping | undefined {
  return mappings
    .filter((mapping) => below(path, prefixOf(mapping)) !== undefined)
    .toSorted((a, b) => prefixOf(b).length - prefixOf(a).length)[0];
}
