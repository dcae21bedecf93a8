import { expect, test } from 'vitest';
import { Tally } from '../../src/backfill/tally.ts';

const none = { known: 0, older: 0, versions: 0, others: 0 };

test('projects that were not looked at yet count as much as those that were', () => {
  const tally = new Tally(false);
  tally.projectsFound(10);
  expect(tally.progress.fraction).toBe(0);
  for (let index = 0; index < 5; index++) tally.compared({ ...none, versions: 3 });
  // Of ten looks and thirty tags, five looks.
  expect(tally.progress.fraction).toBeCloseTo(5 / 40);
});

test('a project with many tags that comes last is not nearly done when the others are', () => {
  const tally = new Tally(false);
  tally.projectsFound(100);
  for (let index = 0; index < 99; index++) {
    tally.compared(none);
    tally.projectDone();
  }
  tally.compared({ ...none, versions: 2_000 });
  expect(tally.progress.fraction).toBeLessThan(0.1);
  for (let index = 0; index < 2_000; index++) tally.tagDone('group/lib', `v1.${index}.0`, { dismissed: 'gone' });
  expect(tally.progress.fraction).toBe(1);
});

test('a dry run is done with the last look, and a project that cannot be looked at holds nothing up', () => {
  const tally = new Tally(true);
  tally.projectsFound(2);
  tally.compared({ ...none, versions: 7 });
  expect(tally.progress.fraction).toBe(0.5);
  tally.projectFailed('group/broken', 'GitLab is down');
  expect(tally.progress.fraction).toBe(1);
});
