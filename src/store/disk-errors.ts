import { RESERVED } from './key.ts';
import { StoreUnavailable } from './store.ts';

/** The error codes of a file system for a file that does not exist. */
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG']);

/**
 * Why a key cannot be written, whatever the state of the disk. A bucket would allow some of these keys, but modpress
 * uses no such key.
 */
const KEY_CLASH: Readonly<Record<string, string>> = {
  ENOTDIR: 'another object has the name of one of its directories',
  EEXIST: 'another object has the name of one of its directories',
  EISDIR: 'a directory has its name',
  ENOTEMPTY: 'a directory has its name',
  ENAMETOOLONG: 'the name is too long for this file system',
};

/** What an operator can do about an error, by the system's code for it. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: `it is gone, or not a store ("${RESERVED}" is missing); is the volume mounted?`,
  ENOSPC: 'the disk is full; free some space or move the store to a larger volume',
  EDQUOT: 'the quota is used up; free some space or raise it',
  EACCES: `permission denied; give the user of this process${userId()} read and write access to all of it`,
  EPERM: `not permitted; give the user of this process${userId()} read and write access to all of it`,
  EROFS: 'it is mounted read-only; mount it writable',
  EIO: 'the disk reports errors; look at the system log',
  EXDEV: `"${RESERVED}" is on another file system than the objects; keep the whole folder on one file system`,
  EMFILE: 'too many files are open; raise the limit of open files (ulimit -n)',
  ENFILE: 'too many files are open on this machine; raise the limit (fs.file-max)',
};

/** Whether the error means that a file is missing. */
export function isAbsent(error: unknown): boolean {
  return isSystemError(error) && ABSENT.has(error.code);
}

/**
 * Turns an error into the error that the contract in store.ts requires. `key` is given for a write: an error that is
 * due to the key is then not StoreUnavailable.
 */
export function translateDiskError(error: unknown, folder: string, key?: string): Error {
  if (!isSystemError(error)) return error instanceof Error ? error : new Error(String(error));
  const clash = KEY_CLASH[error.code];
  if (key !== undefined && clash !== undefined) {
    return new Error(`${JSON.stringify(key)} cannot be stored in ${folder}: ${clash}`, { cause: error });
  }
  const advice = ADVICE[error.code] ?? `the file system answered ${error.code}`;
  return new StoreUnavailable(`the store in ${folder} cannot be used: ${advice}`, { cause: error });
}

/** Whether the error comes from the operating system. */
export function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}

function userId(): string {
  return process.geteuid === undefined ? '' : ` (uid ${process.geteuid()})`;
}
