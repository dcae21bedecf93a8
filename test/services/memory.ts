import { readFile } from 'node:fs/promises';

/** The resident memory of a process, in MB. */
export interface Memory {
  readonly now: number;
  /** The highest value since the start of the process. */
  readonly peak: number;
}

/** Reads the memory of a process from Linux's /proc. Rejects if there is no such process. */
export async function readMemory(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const megabytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
  return { now: megabytes('VmRSS'), peak: megabytes('VmHWM') };
}
