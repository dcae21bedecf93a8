/** Says what is wrong with arguments or settings, a line each, and where the help is. Returns the exit status for that: 2. */
export function usageError(command: string, faults: readonly string[]): number {
  for (const fault of faults) process.stderr.write(`modpress: ${fault.replaceAll(/\s+/g, ' ')}\n`);
  process.stderr.write(`modpress: see modpress ${command} --help\n`);
  return 2;
}
