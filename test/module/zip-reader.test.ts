import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, describe, expect, test } from 'vitest';
import { ZipFile } from 'yazl';
import type { ModulePath } from '../../src/module/path.ts';
import type { Version } from '../../src/module/version.ts';
import { ModuleZip } from '../../src/module/zip/writer.ts';
import { DamagedZip, hashZip, readModuleZip } from '../../src/module/zip/reader.ts';
import { Oracle } from './oracle.ts';

const MODULE = 'gitlab.example/group/lib' as ModulePath;
const VERSION = 'v1.2.3' as Version;
const GO_MOD = `module ${MODULE}\n`;

const oracle = new Oracle();
const folder = mkdtempSync(join(tmpdir(), 'modpress-module-zip-'));
const path = join(folder, 'module.zip');
afterAll(() => {
  oracle.close();
  rmSync(folder, { recursive: true });
});

test('readModuleZip returns the h1 that the go command computes, and the h1 of the go.mod', async () => {
  await writeFile(path, await moduleZip({ 'go.mod': GO_MOD, 'a.go': 'package a\n', empty: '' }));
  const go = await goSays();
  expect(go.OK).toBe(true);
  expect(await readModuleZip(path, MODULE, VERSION)).toEqual({
    h1: go.Text,
    goModH1: expect.stringMatching(/^h1:/),
    fault: undefined,
  });
  await writeFile(path, await moduleZip({ 'a.go': 'package a\n' }));
  expect(await readModuleZip(path, MODULE, VERSION)).toMatchObject({ goModH1: undefined, fault: undefined });
});

test('readModuleZip reads a zip with the 64-bit end record that many files need', async () => {
  const zip = with64BitEnd(await moduleZip({ 'go.mod': GO_MOD, 'a.go': 'package a\n' }));
  await writeFile(path, zip);
  const go = await goSays();
  expect(go.OK, go.Error).toBe(true);
  expect(await readModuleZip(path, MODULE, VERSION)).toMatchObject({ h1: go.Text, fault: undefined });
});

test('readModuleZip detects every flipped bit for which the go command refuses the zip or computes another h1', async () => {
  const bytes = await moduleZip({ 'go.mod': GO_MOD, 'a.go': 'package a\n', b: 'bbbbbbbbbbbbbbbbbbbb' });
  await writeFile(path, bytes);
  const { h1 } = await readModuleZip(path, MODULE, VERSION);
  let refused = 0;
  for (let offset = 0; offset < bytes.length; offset++) {
    const bit = 1 << (offset % 8);
    const copy = Buffer.from(bytes);
    copy.writeUInt8(copy.readUInt8(offset) ^ bit, offset);
    await writeFile(path, copy);
    const go = await goSays();
    if (go.OK && go.Text === h1) continue;
    refused++;
    expect(await isGood(h1), `bit ${bit} of byte ${offset} of ${bytes.length}: ${go.Error}`).toBe(false);
  }
  // The test must contain many zips that the go command refuses.
  expect(refused).toBeGreaterThan(bytes.length / 4);
}, 120_000);

test('hashZip computes the h1 without checking CRC-32 values', async () => {
  const bytes = await moduleZip({ 'go.mod': GO_MOD, 'a.go': 'package a\n' });
  await writeFile(path, bytes);
  const { h1 } = await readModuleZip(path, MODULE, VERSION);
  expect(await hashZip(path)).toBe(h1);
  const otherCrc = Buffer.from(bytes);
  // The CRC-32 of the first entry in the directory (APPNOTE.TXT, 4.3.12).
  const crcOffset = bytes.indexOf(Buffer.from([0x50, 0x4b, 1, 2])) + 16;
  otherCrc.writeUInt8(otherCrc.readUInt8(crcOffset) ^ 1, crcOffset);
  await writeFile(path, otherCrc);
  expect(await hashZip(path)).toBe(h1);
  await expect(readModuleZip(path, MODULE, VERSION)).rejects.toThrow(DamagedZip);
});

describe('an invalid module zip', () => {
  test.each([
    ['of no bytes', Buffer.of()],
    ['of text', Buffer.from('not a zip at all, but long enough to look for an end in it')],
  ])('%s is reported as damaged', async (_, bytes) => {
    await writeFile(path, bytes);
    await expect(readModuleZip(path, MODULE, VERSION)).rejects.toThrow(DamagedZip);
    await expect(hashZip(path)).rejects.toThrow(DamagedZip);
  });

  test.each([
    ['with a file of another version', [`${MODULE}@v1.2.4/a.go`], 'not below'],
    ['with a file twice', [`${MODULE}@${VERSION}/a.go`, `${MODULE}@${VERSION}/a.go`], 'twice'],
    ['with a directory', [`${MODULE}@${VERSION}/`], 'empty string'],
    ['with a name that Windows does not allow', [`${MODULE}@${VERSION}/aux.go`], 'Windows'],
    ['with a nested go.mod', [`${MODULE}@${VERSION}/sub/go.mod`], 'only go.mod allowed'],
    ['with a GO.MOD', [`${MODULE}@${VERSION}/GO.MOD`], 'only go.mod allowed'],
  ])('%s is reported with the fault', async (_, names, fault) => {
    const zip = new ZipFile();
    for (const name of names) {
      if (name.endsWith('/')) zip.addEmptyDirectory(name);
      else zip.addBuffer(Buffer.from('x'), name);
    }
    zip.end();
    await writeFile(path, await buffer(zip.outputStream));
    expect(await readModuleZip(path, MODULE, VERSION)).toMatchObject({ fault: expect.stringContaining(fault) });
  });
});

async function goSays(): ReturnType<Oracle['ask']> {
  return await oracle.ask({ Op: 'checkZip', Text: MODULE, Other: VERSION, Files: [{ Path: path }] });
}

async function isGood(h1: string): Promise<boolean> {
  try {
    const read = await readModuleZip(path, MODULE, VERSION);
    return read.h1 === h1 && read.fault === undefined;
  } catch (error) {
    if (error instanceof DamagedZip) return false;
    throw error;
  }
}

/** Returns the same zip with the end records of a zip with 65,535 files or more (APPNOTE.TXT, 4.3.14 and 4.3.15). */
function with64BitEnd(zip: Buffer): Buffer {
  const end = Buffer.from(zip.subarray(-22));
  const [count, size, offset] = [end.readUInt16LE(10), end.readUInt32LE(12), end.readUInt32LE(16)];
  end.writeUInt16LE(0xffff, 8);
  end.writeUInt16LE(0xffff, 10);
  const end64 = Buffer.alloc(56 + 20);
  end64.writeUInt32LE(0x06064b50, 0);
  end64.writeBigUInt64LE(44n, 4);
  for (const [at, value] of [
    [24, count],
    [32, count],
    [40, size],
    [48, offset],
    [64, offset + size],
  ] as const)
    end64.writeBigUInt64LE(BigInt(value), at);
  end64.writeUInt32LE(0x07064b50, 56);
  end64.writeUInt32LE(1, 72);
  return Buffer.concat([zip.subarray(0, -22), end64, end]);
}

async function moduleZip(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const zip = new ModuleZip(MODULE, VERSION);
  const bytes = buffer(zip.output);
  for (const [name, text] of Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const content = Buffer.from(text);
    await zip.add({
      path: name,
      size: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
      content,
    });
  }
  zip.finish();
  return await bytes;
}
