/** Joins two parts of a path of elements (a module path, a project's, a directory) of which either may be empty. */
export function joinPath(path: string, rest: string): string {
  return path === '' || rest === '' ? path + rest : `${path}/${rest}`;
}

/** What is left of a path below a prefix of whole elements, empty for the prefix itself; undefined if it is not below it. */
export function below(path: string, prefix: string): string | undefined {
  if (prefix === '') return path;
  if (path === prefix) return '';
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : undefined;
}
