/**
 * Reads a txtar archive, the format of Go's test data (internal/txtar in Go's source). Returns the content of each file
 * by name, without the comment before the first file.
 */
export function parseTxtar(text: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  let name: string | undefined;
  for (const line of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    const marker = /^-- (.+) --\r?\n?$/.exec(line);
    if (marker) {
      name = marker[1]?.trim() ?? '';
      files.set(name, '');
    } else if (name !== undefined) {
      files.set(name, (files.get(name) ?? '') + (line.endsWith('\n') ? line : `${line}\n`));
    }
  }
  return files;
}
