import { inSlices } from '../../src/async/in-slices.ts';
import { FileChecker, type TreeFile } from '../../src/module/check-files.ts';
import { TreeSieve } from '../../src/module/tree-sieve.ts';

/** The files of a zip in byte order of their paths, and the files for which the go command refuses the module. */
export interface CheckedFiles<T extends TreeFile> {
  readonly included: readonly T[];
  readonly invalid: readonly { readonly path: string; readonly reason: string }[];
}

/** Checks the files of a tree as the plan of a zip does. */
export async function checkFiles<T extends TreeFile>(files: readonly T[], isGo124: boolean): Promise<CheckedFiles<T>> {
  const sieve = new TreeSieve<T>(isGo124);
  for (const file of files) sieve.add(file);
  const checker = new FileChecker();
  const included: T[] = [];
  const invalid: { path: string; reason: string }[] = [];
  for (const file of await inSlices(sieve.files())) {
    const verdict = await inSlices(checker.add(file));
    if (verdict === 'included') included.push(file);
    else if (verdict !== 'omitted') invalid.push({ path: file.path, reason: verdict.invalid });
  }
  return { included, invalid };
}
