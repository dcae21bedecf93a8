import { allWell, type Counts, type Finding } from './finding.ts';

/** Where what was found is told. */
export interface Report {
  add(finding: Finding): void;
  /** Ends the report. `complete` says whether all was looked at. */
  finish(counts: Counts, seconds: number, complete: boolean): void;
}

/** What takes text, such as standard output. */
interface Output {
  write(text: string): unknown;
}

/** A report for people: a line for each finding, and a summary. */
export function textReport(output: Output): Report {
  return {
    add: (finding) => output.write(`${lineOf(finding)}\n`),
    finish: (counts, seconds, complete) => output.write(`${summaryOf(counts, seconds, complete)}\n`),
  };
}

/** A report for programs: a JSON object a line for each finding, and a last one with the counts. */
export function jsonReport(output: Output): Report {
  return {
    add: (finding) => output.write(`${JSON.stringify(finding)}\n`),
    finish: (counts, seconds, complete) =>
      output.write(
        `${JSON.stringify({ kind: 'summary', ...counts, seconds: Number(seconds.toFixed(3)), complete, allWell: complete && allWell(counts) })}\n`,
      ),
  };
}

/** What each kind is called at the beginning of a line. */
const TITLES = {
  different: 'DIFFERENT',
  missing: 'MISSING',
  unchecked: 'UNCHECKED',
  unrecorded: 'no record',
  note: 'note',
} as const;

function lineOf({ kind, module, version, key, problem, expected, found, advice }: Finding): string {
  const subject = module === undefined ? (key ?? '') : `${module}@${version ?? ''}`;
  const checksums = expected === undefined ? '' : `: expected ${expected}, found ${found ?? ''}`;
  // What GitLab or a damaged file says may have several lines.
  return `${TITLES[kind]} ${subject}: ${problem}${checksums}; ${advice}`.replaceAll(/\s+/g, ' ');
}

function summaryOf(counts: Counts, seconds: number, complete: boolean): string {
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
