import { allWell, type Counts, type Finding } from './finding.ts';

/** Receives the findings of a verification and writes a report. */
export interface Report {
  add(finding: Finding): void;
  /** Ends the report with a summary. `complete` is false if the verification was interrupted. */
  finish(counts: Counts, seconds: number, complete: boolean): void;
}

/** A destination for text, such as standard output. */
interface Output {
  write(text: string): unknown;
}

/** Creates a report for people: one line for each finding, and a summary. */
export function textReport(output: Output): Report {
  return {
    add: (finding) => output.write(`${findingLine(finding)}\n`),
    finish: (counts, seconds, complete) => output.write(`${summaryLine(counts, seconds, complete)}\n`),
  };
}

/** Creates a report for programs: one line of JSON for each finding, and a last line with the counts. */
export function jsonReport(output: Output): Report {
  return {
    add: (finding) => output.write(`${JSON.stringify(finding)}\n`),
    finish: (counts, seconds, complete) =>
      output.write(
        `${JSON.stringify({ kind: 'summary', ...counts, seconds: Number(seconds.toFixed(3)), complete, allWell: complete && allWell(counts) })}\n`,
      ),
  };
}

/** The first words of the line for a finding, by its kind. */
const TITLES = {
  different: 'DIFFERENT',
  missing: 'MISSING',
  unchecked: 'UNCHECKED',
  unrecorded: 'no record',
  note: 'note',
} as const;

function findingLine({ kind, module, version, key, problem, expected, found, advice }: Finding): string {
  const subject = module === undefined ? (key ?? '') : `${module}@${version ?? ''}`;
  const checksums = expected === undefined ? '' : `: expected ${expected}, found ${found ?? ''}`;
  // Texts from GitLab or from a damaged file may contain line breaks.
  return `${TITLES[kind]} ${subject}: ${problem}${checksums}; ${advice}`.replaceAll(/\s+/g, ' ');
}

function summaryLine(counts: Counts, seconds: number, complete: boolean): string {
  const { versions, ok, different, missing, unrecorded, unchecked } = counts;
  const parts = [
    `${ok} ok`,
    `${different} different`,
    `${missing} missing`,
    `${unrecorded} without record`,
    `${unchecked} could not be checked`,
  ];
  return `${complete ? '' : 'interrupted: '}${versions} versions: ${parts.join(', ')}; ${seconds.toFixed(1)} s`;
}
