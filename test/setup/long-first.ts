import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { slowTests } from './fast.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The files that take longest. They affect only the order, so an outdated list is harmless. */
const LONGEST = new Set(['test/e2e/chaos.test.ts', 'test/queue/bull-queue-outage.test.ts', 'test/store/s3.test.ts']);

/**
 * Orders the test files: the longest files first, then the other slow files, then the fast files. Each group begins
 * with its largest files. A long file that starts last would leave the other workers idle. The tests in a file run in
 * random order.
 */
export class LongFirst extends BaseSequencer {
  override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
    const slow = slowTests(ROOT);
    const weights = new Map(
      specifications.map(({ moduleId }) => {
        const path = moduleId.slice(ROOT.length);
        const rank = (LONGEST.has(path) ? 2 : 0) + (slow.includes(path) ? 1 : 0);
        return [moduleId, rank * 1e9 + statSync(moduleId).size];
      }),
    );
    const weightOf = ({ moduleId }: TestSpecification): number => weights.get(moduleId) ?? 0;
    return specifications.toSorted((one, other) => weightOf(other) - weightOf(one));
  }
}
