/** Joins two paths with a slash: module paths, project paths or directories. Either may be empty. */
export function joinPath(path: string, rest: string): string {
  return path === '' || rest === '' ? path + rest : `${path}/${rest}`;
}

/**
 * The part of a path below a prefix of whole elements: `c` for `a/b/c` and `a/b`. Empty for the prefix itself, undefined if
 * the path is not below the prefix.
 */
export function below(path: string, prefix: string): string | undefined {
  if (prefix === '') return path;
  if (path === prefix) return '';
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : undefined;
}
