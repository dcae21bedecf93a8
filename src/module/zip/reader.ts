import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { messageOf } from '../../errors.ts';
import { hashFiles, type H1, type FileDigest } from '../hash.ts';
import { checkFilePath, type ModulePath } from '../path.ts';
import type { Version } from '../version.ts';

/** What a module zip holds. */
export interface ReadZip {
  readonly h1: H1;
  /** The h1 of the go.mod in it, if there is one. */
  readonly goModH1: H1 | undefined;
  /** Why the go command would not take it though it can be read; undefined if it would. */
  readonly fault: string | undefined;
}

/** The bytes are no zip, or a damaged one. The message says in what way. */
export class DamagedZip extends Error {
  override readonly name = 'DamagedZip';
}

/** Reads all of a module zip on disk, and checks what the go command checks. Throws DamagedZip for what cannot be read. */
export async function readModuleZip(path: string, module: ModulePath, version: Version): Promise<ReadZip> {
  const file = await open(path);
  try {
    const zip = await openPromise(path);
    try {
      await assertDirectory(file);
      return await readEntries(zip, file, `${module}@${version}/`);
    } finally {
      zip.close();
    }
  } catch (error) {
    throw new DamagedZip(messageOf(error), { cause: error });
  } finally {
    await file.close();
  }
}

async function readEntries(zip: ZipFile, file: FileHandle, prefix: string): Promise<ReadZip> {
  const hashes: FileDigest[] = [];
  const names = new Set<string>();
  let fault: string | undefined;
  let goMod: FileDigest | undefined;
  for await (const entry of zip.eachEntry()) {
    const hashed = { name: entry.fileName, sha256: await hashEntry(zip, file, entry) };
    hashes.push(hashed);
    fault ??= faultOf(entry.fileName, prefix, names);
    names.add(entry.fileName);
    if (entry.fileName === `${prefix}go.mod`) goMod = { name: 'go.mod', sha256: hashed.sha256 };
  }
  return { h1: hashFiles(hashes), goModH1: goMod && hashFiles([goMod]), fault };
}

/** Hex SHA-256 of an entry's bytes. Throws where the go command would: it compares the CRC-32 in the directory and behind the bytes. */
async function hashEntry(zip: ZipFile, file: FileHandle, entry: Entry): Promise<string> {
  const sha256 = createHash('sha256');
  let crc = 0;
  for await (const chunk of await zip.openReadStreamPromise(entry)) {
    sha256.update(chunk as Buffer);
    crc = crc32(chunk as Buffer, crc);
  }
  const behind = await crcBehind(zip, file, entry);
  if (crc !== entry.crc32 || (behind !== undefined && behind !== crc))
    throw new Error(`the checksum of ${JSON.stringify(entry.fileName)} within it is wrong`);
  return sha256.digest('hex');
}

/** The CRC-32 in the data descriptor, whose signature may be missing (readDataDescriptor in archive/zip); undefined without one. */
async function crcBehind(zip: ZipFile, file: FileHandle, entry: Entry): Promise<number | undefined> {
  if ((entry.generalPurposeBitFlag & HAS_DESCRIPTOR) === 0) return undefined;
  const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
  const descriptor = Buffer.alloc(8);
  await file.read(descriptor, 0, descriptor.length, fileDataStart + entry.compressedSize);
  return descriptor.readUInt32LE(descriptor.readUInt32LE(0) === DESCRIPTOR_SIGNATURE ? 4 : 0);
}

/**
 * Throws unless the directory reaches from where the end of the zip says up to that end, as in every zip of ours: the go
 * command goes by it (readDirectoryEnd in archive/zip).
 */
async function assertDirectory(file: FileHandle): Promise<void> {
  const { size } = await file.stat();
  const end = Buffer.alloc(END_BYTES);
  await file.read(end, 0, END_BYTES, size - END_BYTES);
  const has64 = end.readUInt16LE(10) === 0xffff;
  const directoryEnd = size - END_BYTES - (has64 ? END_64_BYTES : 0);
  if (end.readUInt32LE(0) !== END_SIGNATURE || end.readUInt32LE(12) + end.readUInt32LE(16) !== directoryEnd) {
    throw new Error('its directory is not where its end says');
  }
}

/** Why there must not be an entry of that name beside the others. */
function faultOf(name: string, prefix: string, others: ReadonlySet<string>): string | undefined {
  const shown = JSON.stringify(name);
  if (!name.startsWith(prefix)) return `it has ${shown}, which is not below ${prefix}`;
  if (others.has(name)) return `it has ${shown} twice`;
  const path = name.slice(prefix.length);
  const reason = checkFilePath(path);
  if (reason !== undefined) return `it has ${shown}: ${reason}`;
  const base = path.slice(path.lastIndexOf('/') + 1);
  return base.toLowerCase() === 'go.mod' && path !== 'go.mod'
    ? `it has ${shown}, a go.mod that is not that of the module`
    : undefined;
}

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
/** The 64-bit end, and what tells where it is. */
const END_64_BYTES = 56 + 20;
const HAS_DESCRIPTOR = 0x8;
const DESCRIPTOR_SIGNATURE = 0x08074b50;
