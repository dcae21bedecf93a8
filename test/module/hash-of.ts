import { createHash } from 'node:crypto';
import type { H1 } from '../../src/module/hash.ts';
import type { ModulePath } from '../../src/module/path.ts';
import type { Version } from '../../src/module/version.ts';
import { ModuleZip } from '../../src/module/zip/writer.ts';

/** Returns the h1 of a module zip with these files, computed by the zip writer. */
export async function hashOf(
  module: string,
  version: string,
  files: readonly { readonly path: string; readonly content: string }[],
): Promise<H1> {
  const zip = new ModuleZip(module as ModulePath, version as Version);
  zip.output.resume();
  for (const { path, content } of files) {
    const bytes = Buffer.from(content);
    await zip.add({
      path,
      size: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      content: bytes,
    });
  }
  return zip.finish();
}
