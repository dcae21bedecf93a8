/** Joins two module paths, project paths or directories with a slash. Either of them may be empty. */
export function joinPath(path: string, rest: string): string {
  return path === '' || rest === '' ? path + rest : `${path}/${rest}`;
}

/**
 * Returns a module path in the form in which GitLab compares it: in lower case, and without the `.git` that a path
 * element can end in. Two paths of one project have the same form.
 */
export function comparablePath(path: string): string {
  return path.toLowerCase().replaceAll(/\.git(?=\/|$)/g, '');
}

/**
 * Returns the part of a path below a prefix, for example `c` for `a/b/c` and `a/b`. Compares whole path elements.
 * Returns an empty string if the path equals the prefix, and undefined if the path is not below the prefix.
 */
export function below(path: string, prefix: string): string | undefined {
  if (prefix === '') return path;
  if (path === prefix) return '';
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : undefined;
}
