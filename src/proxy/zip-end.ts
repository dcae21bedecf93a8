/**
 * The maximum size of the "end of central directory" record, which ends each zip: 22 bytes and a comment of 65,535
 * bytes (APPNOTE 4.3.16).
 */
export const MAX_END_BYTES = 65_557;
const END_BYTES = 22;
const LOCATOR_BYTES = 20;

/** The central directory of a zip. It begins at the byte `offset` of the file. */
export interface ZipDirectory {
  /** Undefined for a zip with more than 65,535 files, whose zip64 record is not read here. */
  readonly offset: number | undefined;
}

/**
 * Finds the central directory of a zip by its end. `tail` contains the last bytes of the file, at least MAX_END_BYTES
 * or all of them, and `size` is the size of the file. Returns undefined if these are not the last bytes of a zip of
 * this size: if the zip is truncated, or lacks bytes before its directory.
 */
export function directoryOf(tail: Buffer, size: number): ZipDirectory | undefined {
  const end = tail.lastIndexOf('PK\u0005\u0006', undefined, 'latin1');
  if (end < 0 || end + END_BYTES > tail.length) return undefined;
  if (end + END_BYTES + tail.readUInt16LE(end + 20) !== tail.length) return undefined;
  const isZip64 =
    end >= LOCATOR_BYTES && tail.toString('latin1', end - LOCATOR_BYTES, end).startsWith('PK\u0006\u0007');
  if (isZip64) return { offset: undefined };
  const offset = tail.readUInt32LE(end + 16);
  return offset + tail.readUInt32LE(end + 12) === size - tail.length + end ? { offset } : undefined;
}
