import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { messageOf } from '../../errors.ts';
import { hashFiles, hashOne, type H1, type FileDigest } from '../hash.ts';
import { checkFilePath, type ModulePath } from '../path.ts';
import type { Version } from '../version.ts';

/** The result of checking a module zip. */
export interface ReadZip {
  readonly h1: H1;
  /** The h1 of the root go.mod, if the zip has one. */
  readonly goModH1: H1 | undefined;
  /**
   * The reason why the go command would refuse a zip whose entries can all be read; undefined if it would accept the
   * zip.
   */
  readonly fault: string | undefined;
}

/** The file is not a zip, or the zip is damaged. The message describes the damage. */
export class DamagedZip extends Error {
  override readonly name = 'DamagedZip';
}

/**
 * Reads a whole module zip from disk, and checks what the go command checks: the directory, every CRC-32, and every
 * name. Throws DamagedZip if the zip cannot be read.
 */
export async function readModuleZip(path: string, module: ModulePath, version: Version): Promise<ReadZip> {
  return await readZip(path, async (zip, file) => {
    await assertDirectory(file);
    const prefix = `${module}@${version}/`;
    const digests: FileDigest[] = [];
    const names = new Set<string>();
    let fault: string | undefined;
    let goMod: FileDigest | undefined;
    for await (const { entry, crc, digest } of hashedEntries(zip)) {
      await assertChecksum(zip, file, entry, crc);
      digests.push(digest);
      fault ??= faultOf(digest.name, prefix, names);
      names.add(digest.name);
      if (digest.name === `${prefix}go.mod`) goMod = { name: 'go.mod', sha256: digest.sha256 };
    }
    return { h1: await hashFiles(digests), goModH1: goMod && hashOne(goMod), fault };
  });
}

/**
 * Computes the h1 of a zip on disk (dirhash.HashZip). Does not check names or CRC-32 values. If a byte of an entry has
 * changed and the entry can still be inflated, the result is another h1. Throws DamagedZip if the zip cannot be read.
 */
export async function hashZip(path: string): Promise<H1> {
  return await readZip(path, async (zip) => {
    const digests: FileDigest[] = [];
    for await (const { digest } of hashedEntries(zip)) digests.push(digest);
    return await hashFiles(digests);
  });
}

/**
 * Opens a zip, passes it to `read`, and closes it. If the file cannot be opened, rejects with the error of the file
 * system. Any other error becomes the cause of a DamagedZip.
 */
async function readZip<T>(path: string, read: (zip: ZipFile, file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path);
  try {
    const zip = await openPromise(path);
    try {
      return await read(zip, file);
    } finally {
      zip.close();
    }
  } catch (error) {
    throw new DamagedZip(messageOf(error), { cause: error });
  } finally {
    await file.close();
  }
}

/** An entry of a zip with the checksums of its inflated bytes. */
interface HashedEntry {
  readonly entry: Entry;
  readonly digest: FileDigest;
  readonly crc: number;
}

/** Inflates and hashes the entries of a zip, in the order of its directory. */
async function* hashedEntries(zip: ZipFile): AsyncGenerator<HashedEntry> {
  for await (const entry of zip.eachEntry()) {
    const sha256 = createHash('sha256');
    let crc = 0;
    for await (const chunk of await zip.openReadStreamPromise(entry)) {
      sha256.update(chunk as Buffer);
      crc = crc32(chunk as Buffer, crc);
    }
    yield { entry, crc, digest: { name: entry.fileName, sha256: sha256.digest('hex') } };
  }
}

/**
 * Throws if the CRC-32 in the directory or the CRC-32 after the data of the entry is wrong. The go command checks both.
 */
async function assertChecksum(zip: ZipFile, file: FileHandle, entry: Entry, crc: number): Promise<void> {
  const inDescriptor = await descriptorCrc(zip, file, entry);
  if (crc !== entry.crc32 || (inDescriptor !== undefined && inDescriptor !== crc))
    throw new Error(`the CRC-32 of the entry ${JSON.stringify(entry.fileName)} is wrong`);
}

/**
 * Returns the CRC-32 in the data descriptor of an entry, or undefined if the entry has no descriptor. The signature of
 * a descriptor is optional (readDataDescriptor in archive/zip).
 */
async function descriptorCrc(zip: ZipFile, file: FileHandle, entry: Entry): Promise<number | undefined> {
  if ((entry.generalPurposeBitFlag & HAS_DESCRIPTOR) === 0) return undefined;
  const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
  const descriptor = Buffer.alloc(8);
  await file.read(descriptor, 0, descriptor.length, fileDataStart + entry.compressedSize);
  return descriptor.readUInt32LE(descriptor.readUInt32LE(0) === DESCRIPTOR_SIGNATURE ? 4 : 0);
}

/**
 * Throws unless the directory starts at the offset in the end record and ends right before the end records. The go
 * command relies on this (readDirectoryEnd in archive/zip), and every zip that ModuleZip writes has this layout.
 */
async function assertDirectory(file: FileHandle): Promise<void> {
  const { size } = await file.stat();
  const end = Buffer.alloc(END_BYTES);
  await file.read(end, 0, END_BYTES, size - END_BYTES);
  const has64 = end.readUInt16LE(10) === 0xffff;
  const directoryEnd = size - END_BYTES - (has64 ? END_64_BYTES : 0);
  if (end.readUInt32LE(0) !== END_SIGNATURE || end.readUInt32LE(12) + end.readUInt32LE(16) !== directoryEnd) {
    throw new Error('the central directory is not at the position that the end record contains');
  }
}

/**
 * Returns why the go command refuses a zip with an entry of this name, or undefined if it accepts the entry. `previous`
 * contains the names of the entries before it.
 */
function faultOf(name: string, prefix: string, previous: ReadonlySet<string>): string | undefined {
  const quoted = JSON.stringify(name);
  if (!name.startsWith(prefix)) return `its entry ${quoted} is not below ${prefix}`;
  if (previous.has(name)) return `it contains the entry ${quoted} twice`;
  const path = name.slice(prefix.length);
  const reason = checkFilePath(path);
  if (reason !== undefined) return `the name of its entry ${quoted} is invalid: ${reason}`;
  const base = path.slice(path.lastIndexOf('/') + 1);
  return base.toLowerCase() === 'go.mod' && path !== 'go.mod'
    ? `it contains ${quoted}, but the only go.mod allowed is the one at the root of the module`
    : undefined;
}

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
/** The size of the 64-bit end record and its locator, in bytes. */
const END_64_BYTES = 56 + 20;
const HAS_DESCRIPTOR = 0x8;
const DESCRIPTOR_SIGNATURE = 0x08074b50;
