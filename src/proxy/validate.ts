import { z } from 'zod';
import { parseVersion } from '../module/version.ts';
import { UpstreamFailed, describe } from './module-source.ts';
import type { FileRequest, ModuleRequest } from './request.ts';
import type { Spool } from '../io/spool.ts';
import { parseJson } from '../io/json.ts';

/**
 * Checks of what an upstream sends, before it is kept for good. The go command's checksums are the protection against
 * forgery; these only keep pages of a captive portal and truncated files out of the cache.
 */

const Info = z.object({ Version: z.string() });

/** UpstreamFailed unless a body that is no zip can be what was asked for. */
export function checkSmall(body: Buffer, request: ModuleRequest): void {
  const problem = problemOf(body, request);
  if (problem !== undefined) throw new UpstreamFailed(`the upstream proxy sent, for ${describe(request)}, ${problem}`);
}

function problemOf(body: Buffer, request: ModuleRequest): string | undefined {
  // The go command ignores lines of a list that are no versions.
  if (request.kind === 'list') return undefined;
  if (request.kind === 'file' && request.file === 'mod') {
    return /^[ \t\ufeff]*module\b/m.test(body.toString('utf8')) ? undefined : 'a go.mod without a module directive';
  }
  const info = Info.safeParse(parseJson(body));
  if (!info.success) return 'an .info that is none';
  const asked = request.kind === 'file' ? parseVersion(request.version) : undefined;
  return asked === undefined || asked === info.data.Version ? undefined : `the .info of ${info.data.Version}`;
}

/**
 * UpstreamFailed unless the file ends as a zip does, with a directory of files under `module@version/`.
 * A body without Content-Length that was cut off is noticed here and nowhere else.
 */
export async function checkZip(spool: Spool, request: FileRequest): Promise<void> {
  // End of central directory: 22 bytes and a comment of at most 65,535 (APPNOTE 4.3.16).
  const tail = await spool.peek(Math.max(0, spool.bytes - 65_557), 65_557);
  const end = tail.lastIndexOf('PK\u0005\u0006', undefined, 'latin1');
  const whole = end >= 0 && end + 22 <= tail.length && end + 22 + tail.readUInt16LE(end + 20) === tail.length;
  if (whole && (await isDirectoryOf(`${request.module}@${request.version}/`, tail.readUInt32LE(end + 16), spool)))
    return;
  throw new UpstreamFailed(`the upstream proxy sent a zip of ${describe(request)} that is truncated or none`);
}

async function isDirectoryOf(root: string, offset: number, spool: Spool): Promise<boolean> {
  // More than 65,535 files: the directory is described by a zip64 record.
  if (offset === 0xffff_ffff) return true;
  const entry = await spool.peek(offset, 46 + root.length);
  const first = entry.toString('latin1', 0, 4);
  // A module without files has the end of the directory right here.
  return first === 'PK\u0005\u0006' || (first === 'PK\u0001\u0002' && entry.toString('latin1', 46) === root);
}
