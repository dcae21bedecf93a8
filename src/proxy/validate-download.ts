import { z } from 'zod';
import { isSemver, parseVersion } from '../module/version.ts';
import { UpstreamFailed, describe } from './module-source.ts';
import type { FileRequest, ModuleRequest } from './protocol-request.ts';
import type { Spool } from '../io/spool.ts';
import { parseJson } from '../io/json.ts';
import { startsLikeHtml } from './validate-sumdb-response.ts';
import { directoryOf, MAX_END_BYTES, type ZipDirectory } from './zip-end.ts';

/**
 * These checks run before a response of an upstream server is cached forever. They keep truncated files and login pages
 * out of the cache. The go command detects forged files by their checksums.
 */

const infoSchema = z.object({ Version: z.string(), Time: z.string().optional() });

/**
 * Returns why the body cannot be the requested list, `.info` or `.mod`, as words for an error message; undefined if it
 * can be.
 */
export function smallFileProblem(body: Buffer, request: ModuleRequest): string | undefined {
  const text = body.toString('utf8');
  if (request.kind === 'list') return isList(text) ? undefined : 'a list with lines that are not versions';
  if (request.kind === 'file' && request.file === 'mod') {
    return /^[ \t\ufeff]*module\b/m.test(text) && !startsLikeHtml(body)
      ? undefined
      : 'a go.mod without a module directive';
  }
  const info = infoSchema.safeParse(parseJson(body));
  if (!info.success || parseVersion(info.data.Version) === undefined) return 'an invalid .info file';
  const requested = request.kind === 'file' ? parseVersion(request.version) : undefined;
  return requested === undefined || requested === info.data.Version
    ? undefined
    : `the .info of version ${info.data.Version}`;
}

/**
 * Whether each line begins with a version. The go command ignores the rest of a line (proxyRepo.Versions in cmd/go).
 */
function isList(text: string): boolean {
  return text
    .split('\n')
    .map((line) => line.trim())
    .every((line) => line === '' || isSemver(line.split(/\s/, 1)[0] ?? ''));
}

/**
 * Throws UpstreamFailed unless the file ends like a zip, with a directory of files under `module@version/`. For a body
 * without Content-Length, only this check detects truncation.
 */
export async function checkZip(spool: Spool, request: FileRequest): Promise<void> {
  const tail = await spool.peek(Math.max(0, spool.bytes - MAX_END_BYTES), MAX_END_BYTES);
  const directory = directoryOf(tail, spool.bytes);
  if (directory && (await isDirectoryOf(`${request.module}@${request.version}/`, directory, spool))) return;
  throw new UpstreamFailed(
    `the upstream proxy sent a zip for ${describe(request)} that is truncated or belongs to another version`,
  );
}

async function isDirectoryOf(root: string, { offset }: ZipDirectory, spool: Spool): Promise<boolean> {
  if (offset === undefined) return true;
  const entry = await spool.peek(offset, 46 + root.length);
  const first = entry.toString('latin1', 0, 4);
  // The directory of a zip without files consists of the end record only.
  return first === 'PK\u0005\u0006' || (first === 'PK\u0001\u0002' && entry.toString('latin1', 46) === root);
}
