import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { readArchive } from '../../src/gitlab/archive.ts';
import { collect } from '../../src/io/read-body.ts';
import type { CommitId } from '../../src/gitlab/schema.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import type { ModulePath } from '../../src/module/path.ts';
import type { Version } from '../../src/module/version.ts';
import { MAX_ZIP, ModuleZip } from '../../src/module/zip/writer.ts';
import { mergeArchive } from '../../src/build/merge-archive.ts';
import { filesInGitLab } from '../../src/build/commit-files.ts';
import { planZip } from '../../src/build/plan-zip.ts';

/** The parameters of the conversion process. */
export interface Conversion {
  readonly gitlabUrl: string;
  readonly token: string;
  readonly projectId: number;
  readonly commit: string;
  readonly module: string;
  /** The path of the archive. */
  readonly archive: string;
  /** The folder for the zip and for files that are too large for memory. */
  readonly folder: string;
}

/** The conversion of modpress, or a conversion that trusts the archive. */
export type Way = 'proved' | 'unproved';

/**
 * Runs modpress's conversion in a separate process: it reads a tar.gz from disk, checks every file, and writes the zip
 * to disk. Each message runs the conversion once. The reply is the duration in seconds, or -1 after a failure. The
 * process does nothing else, because memory access is slower for a while after a process has started another process,
 * such as git.
 */
async function serve(conversion: Conversion): Promise<void> {
  const { gitlabUrl, token, projectId, archive, folder } = conversion;
  const path = conversion.module as ModulePath;
  const version = 'v1.0.0' as Version;
  const gomod = Buffer.from(`module ${path}\n\ngo 1.24\n`);
  const client = new GitLabClient({ http: new HttpClient(), url: gitlabUrl, token, beforeCall: async () => undefined });
  const commit = conversion.commit as CommitId;
  const plan = await planZip(filesInGitLab(client, projectId, commit), {
    path,
    version,
    commit,
    directory: '',
    gomod,
  });
  const sums = new Set<string>();
  const convertOnce = async (way: Way): Promise<void> => {
    const zip = new ModuleZip(path, version);
    const written = pipeline(zip.output, createWriteStream(join(folder, 'modpress.zip')));
    const source = { archive: createReadStream(archive), blob: askGitLab, attributes: askGitLab, folder: folder };
    sums.add(
      way === 'proved' ? await mergeArchive(plan.files, source, zip) : await convertUnproved(source.archive, zip),
    );
    await written;
    if (sums.size !== 1) throw new Error('the two conversions produced different modules');
  };
  process.on('message', (way: Way) => {
    const started = performance.now();
    convertOnce(way).then(
      () => process.send?.((performance.now() - started) / 1000),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.send?.(-1);
      },
    );
  });
  process.once('disconnect', () => process.exit());
  process.send?.(plan.files.length);
}

/** Converts without blob ids and without the plan, and with the same code otherwise. */
async function convertUnproved(archive: Readable, zip: ModuleZip): Promise<string> {
  for await (const { path, size, body } of readArchive(archive)) {
    const bytes = await collect(body, MAX_ZIP, path);
    await zip.add({ path, size, sha256: createHash('sha256').update(bytes).digest('hex'), content: bytes });
  }
  return zip.finish();
}

function askGitLab(): never {
  throw new Error('the archive contains every file as it is in git, so no request to GitLab is needed');
}

await serve(JSON.parse(process.argv[2] ?? '') as Conversion);
