import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { slowTests } from './fast.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The files that take longest. They only affect the order, so an outdated list is harmless. */
const LONGEST = new Set(['test/e2e/chaos.test.ts', 'test/queue/bull-queue-outage.test.ts', 'test/store/s3.test.ts']);

/**
 * Orders the test files: the longest first, then the other slow files, then the fast ones; within each group, larger files
 * first. A long file that starts last would leave the other workers idle. Within a file, the order stays random.
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
