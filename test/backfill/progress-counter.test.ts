import { expect, test } from 'vitest';
import { ProgressCounter } from '../../src/backfill/progress-counter.ts';

const NO_TAGS = { known: 0, older: 0, versions: 0, others: 0 };

test('assumes that projects not compared yet have as many tags as the compared ones', () => {
  const counter = new ProgressCounter(false);
  counter.projectsFound(10);
  expect(counter.progress.fraction).toBe(0);
  for (let index = 0; index < 5; index++) counter.projectCompared({ ...NO_TAGS, versions: 3 });
  // Five comparisons are done, of ten comparisons and an expected thirty tags.
  expect(counter.progress.fraction).toBeCloseTo(5 / 40);
});

test('does not report a backfill as nearly done whose last project has many tags', () => {
  const counter = new ProgressCounter(false);
  counter.projectsFound(100);
  for (let index = 0; index < 99; index++) {
    counter.projectCompared(NO_TAGS);
    counter.projectDone();
  }
  counter.projectCompared({ ...NO_TAGS, versions: 2_000 });
  expect(counter.progress.fraction).toBeLessThan(0.1);
  for (let index = 0; index < 2_000; index++) counter.tagDone('group/lib', `v1.${index}.0`, { dismissed: 'gone' });
  expect(counter.progress.fraction).toBe(1);
});

test('reports a dry run as done after the last comparison, also of a project that failed', () => {
  const counter = new ProgressCounter(true);
  counter.projectsFound(2);
  counter.projectCompared({ ...NO_TAGS, versions: 7 });
  expect(counter.progress.fraction).toBe(0.5);
  counter.projectFailed('group/broken', 'GitLab is down');
  expect(counter.progress.fraction).toBe(1);
});
