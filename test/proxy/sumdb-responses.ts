/** A tree head as a checksum database sends it, with a signature that nobody can verify. */
export function treeHead(size: number): string {
  const hash = Buffer.alloc(32, size).toString('base64');
  return `go.sum database tree\n${size}\n${hash}\n\n— sum.example ${Buffer.alloc(68).toString('base64')}\n`;
}

/** A record of a checksum database, with its number and the checksums of one version. */
export function record(id: number, module: string, version: string): string {
  const h1 = `h1:${Buffer.alloc(32, id).toString('base64')}`;
  return `${id}\n${module} ${version} ${h1}\n${module} ${version}/go.mod ${h1}\n\n`;
}

/** The response to the lookup of a version. */
export function lookup(module: string, version: string): string {
  return record(1, module, version) + treeHead(2);
}
