/**
 * Builds the records of a zip file by the specification of the format (APPNOTE.TXT). All fields that could differ
 * between two zips of the same files have fixed values. Sizes and offsets have 32 bits, which is enough for any module.
 * The number of files is not limited: a zip with more than 65,534 files has the 64-bit records.
 */

/**
 * An entry whose bytes have been written. All sizes are in bytes. `offset` is the position of the local header in
 * bytes.
 */
export interface WrittenEntry {
  readonly name: string;
  readonly crc32: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly offset: number;
}

/** Bit 3 means that the CRC-32 and the sizes follow the data. Bit 11 means that names are UTF-8. */
const FLAGS = 0x0808;
const DEFLATE = 8;
const VERSION_NEEDED = 20;
const VERSION_64 = 45;
/** Declares Unix as the origin of the zip, so that readers use the Unix mode of each file. */
const MADE_BY = (3 << 8) | VERSION_64;
/** Midnight on 1980-01-01, the earliest time that a zip can contain. */
const TIME = 0;
const DATE = 0x21;
const REGULAR_FILE = (0o100644 << 16) >>> 0;
/** The value of a 16-bit field if the real value is in the 64-bit record. */
const ELSEWHERE_16 = 0xffff;

/** Returns the record before the data of a file. */
export function localHeader(name: string): Buffer {
  const encoded = Buffer.from(name);
  const record = Buffer.alloc(30);
  record.writeUInt32LE(0x04034b50, 0);
  record.writeUInt16LE(VERSION_NEEDED, 4);
  record.writeUInt16LE(FLAGS, 6);
  record.writeUInt16LE(DEFLATE, 8);
  record.writeUInt16LE(TIME, 10);
  record.writeUInt16LE(DATE, 12);
  record.writeUInt16LE(encoded.length, 26);
  return Buffer.concat([record, encoded]);
}

/** Returns the record after the data of a file. */
export function dataDescriptor({ crc32, compressedSize, size }: Omit<WrittenEntry, 'name' | 'offset'>): Buffer {
  const record = Buffer.alloc(16);
  record.writeUInt32LE(0x08074b50, 0);
  record.writeUInt32LE(crc32, 4);
  record.writeUInt32LE(compressedSize, 8);
  record.writeUInt32LE(size, 12);
  return record;
}

/** Returns the record of a file in the central directory. */
export function directoryEntry({ name, crc32, compressedSize, size, offset }: WrittenEntry): Buffer {
  const encoded = Buffer.from(name);
  const record = Buffer.alloc(46);
  record.writeUInt32LE(0x02014b50, 0);
  record.writeUInt16LE(MADE_BY, 4);
  record.writeUInt16LE(VERSION_NEEDED, 6);
  record.writeUInt16LE(FLAGS, 8);
  record.writeUInt16LE(DEFLATE, 10);
  record.writeUInt16LE(TIME, 12);
  record.writeUInt16LE(DATE, 14);
  record.writeUInt32LE(crc32, 16);
  record.writeUInt32LE(compressedSize, 20);
  record.writeUInt32LE(size, 24);
  record.writeUInt16LE(encoded.length, 28);
  record.writeUInt32LE(REGULAR_FILE, 38);
  record.writeUInt32LE(offset, 42);
  return Buffer.concat([record, encoded]);
}

/**
 * Returns the records after the central directory, which has `count` entries and a length of `size` bytes. `offset` is
 * its position in bytes.
 */
export function endOfDirectory(count: number, size: number, offset: number): Buffer {
  const needs64 = count >= ELSEWHERE_16;
  const record = Buffer.alloc(22);
  record.writeUInt32LE(0x06054b50, 0);
  record.writeUInt16LE(needs64 ? ELSEWHERE_16 : count, 8);
  record.writeUInt16LE(needs64 ? ELSEWHERE_16 : count, 10);
  record.writeUInt32LE(size, 12);
  record.writeUInt32LE(offset, 16);
  return needs64 ? Buffer.concat([endOfDirectory64(count, size, offset), record]) : record;
}

/** Returns the 64-bit end record, followed by its locator. */
function endOfDirectory64(count: number, size: number, offset: number): Buffer {
  const record = Buffer.alloc(56 + 20);
  record.writeUInt32LE(0x06064b50, 0);
  // The size of the record without its first 12 bytes.
  record.writeBigUInt64LE(44n, 4);
  record.writeUInt16LE(MADE_BY, 12);
  record.writeUInt16LE(VERSION_64, 14);
  record.writeBigUInt64LE(BigInt(count), 24);
  record.writeBigUInt64LE(BigInt(count), 32);
  record.writeBigUInt64LE(BigInt(size), 40);
  record.writeBigUInt64LE(BigInt(offset), 48);
  record.writeUInt32LE(0x07064b50, 56);
  record.writeBigUInt64LE(BigInt(offset + size), 64);
  // The number of disks.
  record.writeUInt32LE(1, 72);
  return record;
}
