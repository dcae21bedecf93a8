import { RESERVED } from './key.ts';
import { StoreUnavailable } from './store.ts';

/** The error codes of a file system for a missing file. */
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG']);

/**
 * The reasons why a key cannot be written, regardless of the state of the disk. A bucket would allow some of these
 * keys, but modpress does not use them.
 */
const KEY_CLASH: Readonly<Record<string, string>> = {
  ENOTDIR: 'another object has the name of one of its directories',
  EEXIST: 'another object has the name of one of its directories',
  EISDIR: 'a directory has the same name',
  ENOTEMPTY: 'a directory has the same name',
  ENAMETOOLONG: 'the name is too long for this file system',
};

/** The advice to an operator, by the error code of the system. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: `its folder "${RESERVED}" is missing; check that the volume is mounted`,
  ENOSPC: 'the disk is full; free some space or move the store to a larger volume',
  EDQUOT: 'the disk quota is exhausted; free some space or raise the quota',
  EACCES: `permission denied; give the user of this process${userId()} read and write access to the whole folder`,
  EPERM: `not permitted; give the user of this process${userId()} read and write access to the whole folder`,
  EROFS: 'the file system is mounted read-only; mount it with write access',
  EIO: 'the disk reports errors; check the system log',
  EXDEV: `"${RESERVED}" is on another file system than the objects; keep the whole folder on one file system`,
  EMFILE: 'too many files are open; raise the limit of open files (ulimit -n)',
  ENFILE: 'too many files are open on this machine; raise the limit (fs.file-max)',
};

/** Returns whether the error means that a file is missing. */
export function isAbsent(error: unknown): boolean {
  return isSystemError(error) && ABSENT.has(error.code);
}

/**
 * Converts an error to the error that the contract in store.ts requires. `key` is given for a write. An error that is
 * due to the key is then not a StoreUnavailable.
 */
export function translateDiskError(error: unknown, folder: string, key?: string): Error {
  if (!isSystemError(error)) return error instanceof Error ? error : new Error(String(error));
  const clash = KEY_CLASH[error.code];
  if (key !== undefined && clash !== undefined) {
    return new Error(`${JSON.stringify(key)} cannot be stored in ${folder}: ${clash}`, { cause: error });
  }
  const advice = ADVICE[error.code] ?? `the file system reported ${error.code}`;
  return new StoreUnavailable(`the store in ${folder} cannot be used: ${advice}`, { cause: error });
}

/** Returns whether the error comes from the operating system. */
export function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}

function userId(): string {
  return process.geteuid === undefined ? '' : ` (uid ${process.geteuid()})`;
}
