import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Refuse, Retry } from '../errors.ts';
import type { BlobId, GitLabClient } from '../gitlab/client.ts';
import type { H1 } from '../module/hash.ts';
import { checkZipSize, MAX_ZIP, ModuleZip } from '../module/zip.ts';
import type { Pace } from '../pace/pace.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';
import { Spool } from '../spool.ts';
import type { AttributesFile } from './attributes.ts';
import { convert } from './convert.ts';
import { planZip, type ZipPlan } from './plan.ts';

/** What a build works with. */
export interface BuildParts {
  readonly gitlab: GitLabClient;
  readonly pace: Pace;
  readonly archivesPerMinute: number;
}

/** A finished module zip in the scratch folder; `size` in bytes. */
export interface BuiltZip {
  readonly path: string;
  readonly size: number;
  readonly h1: H1;
}

/** GitLab counts archives by the minute from the first; a second more lets clocks and networks differ. */
const ARCHIVE_WINDOW_MS = 61_000;
/** No .gitattributes file is larger. */
const MAX_ATTRIBUTES = 2 ** 20;

/**
 * Builds the module zip of a version in `scratch`, a folder which the caller removes. The archive arrives while the tree is read and the zip written. Throws Refuse
 * or Retry.
 */
export async function buildZip(parts: BuildParts, version: ResolvedVersion, scratch: string): Promise<BuiltZip> {
  const { gitlab, pace, archivesPerMinute } = parts;
  const { project, commit, directory } = version;
  const waitMs = await pace.reserve(`archive:${project.id}`, archivesPerMinute, ARCHIVE_WINDOW_MS);
  if (waitMs > 0) throw new Retry(`GitLab allows ${archivesPerMinute} archives a minute for a project`, { afterMs: waitMs });

  // GitLab's connection is read as fast as it comes, from before the tree is known: one that stands still would be
  // cut off by any proxy in between.
  const spool = await Spool.create(scratch);
  const stop = new AbortController();
  const download = fill(spool, () => gitlab.archive(project.id, commit, directory), stop.signal);
  try {
    const plan = await planZip(gitlab, { projectId: version.project.id, ...version });
    return await convertTo(join(scratch, 'module.zip'), plan, spool.reader(), gitlab, version, scratch);
  } finally {
    stop.abort();
    await download;
    await spool.release();
  }
}

async function convertTo(
  path: string,
  plan: ZipPlan,
  archive: Readable,
  gitlab: GitLabClient,
  version: ResolvedVersion,
  scratch: string,
): Promise<BuiltZip> {
  const zip = new ModuleZip(version.path, version.version);
  const written = pipeline(zip.output, createWriteStream(path));
  let attributes: Promise<AttributesFile[]> | undefined;
  const source = {
    archive,
    blob: (id: BlobId) => gitlab.blob(version.project.id, id),
    attributes: () => (attributes ??= readAttributes(gitlab, plan, version)),
    scratch,
  };
  const converted = convert(plan.files, source, zip).catch((error: unknown) => {
    // Ends the writing; its error is but an echo of this one.
    zip.output.destroy();
    throw error;
  });
  const [conversion, writing] = await Promise.allSettled([converted, written]);
  if (conversion.status === 'rejected') throw conversion.reason;
  if (writing.status === 'rejected') throw writing.reason;
  const { size } = await stat(path);
  checkZipSize(size);
  return { path, size, h1: conversion.value };
}

/** Copies the archive into the spool; whatever goes wrong is for its reader to find. */
async function fill(spool: Spool, open: () => Promise<Readable>, signal: AbortSignal): Promise<void> {
  try {
    for await (const chunk of addAbortSignal(signal, await open()) as AsyncIterable<Buffer>) {
      // A zip is hardly ever smaller than the tar.gz of the same files.
      if (spool.bytes > MAX_ZIP) throw new Refuse(`the archive is larger than ${MAX_ZIP} bytes, the go command's limit for a zip`);
      await spool.write(chunk);
    }
    spool.finish();
  } catch (error) {
    spool.fail(error);
  }
}

/** The .gitattributes files from the root of the repository down to the module, and those within it. */
async function readAttributes(gitlab: GitLabClient, plan: ZipPlan, version: ResolvedVersion): Promise<AttributesFile[]> {
  const { project, commit, directory } = version;
  const elements = directory === '' ? [] : directory.split('/');
  const above = elements.map((_, depth) => [...elements.slice(0, depth), '.gitattributes'].join('/'));
  const files: AttributesFile[] = [];
  for (const path of [...above, ...plan.attributes]) {
    const bytes = await gitlab.file(project.id, commit, path, MAX_ATTRIBUTES);
    if (bytes) files.push({ directory: path.slice(0, -'/.gitattributes'.length), text: bytes.toString('utf8') });
  }
  return files;
}
