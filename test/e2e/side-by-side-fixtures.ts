import { test as base } from './fixtures.ts';
import { SideBySide } from './side-by-side.ts';

/** Tests of go commands that must have the same result with modpress and in direct mode. */
export const test = base
  // modpress has to find all pushes on demand.
  .override('settings', { ON_DEMAND: 'on', SWEEP_MINUTES: '1000' })
  /** Two developers, for the file. The GitLab has no projects at the beginning. */
  .extend('both', { scope: 'file' }, async ({ office, service }) => await SideBySide.open(office, service));
