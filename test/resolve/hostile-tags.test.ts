import { expect, test } from 'vitest';
import type { CommitId, Project } from '../../src/gitlab/schema.ts';
import { Retractions } from '../../src/module/retractions.ts';
import type { Version } from '../../src/module/version.ts';
import { byPreference, listedVersions } from '../../src/proxy/listed-versions.ts';
import { chooseVersion } from '../../src/resolve/choose-version.ts';
import { originWithTags } from '../../src/resolve/origin.ts';
import type { ModulePlace } from '../../src/resolve/place.ts';
import type { Repositories } from '../../src/resolve/repositories.ts';
import type { Revision } from '../../src/resolve/revision.ts';
import { taggedVersions } from '../../src/resolve/tagged-versions.ts';
import { MAX_BLOCK_MS, measure } from '../hostile/event-loop.ts';
import { modulePath } from '../proxy/modules.ts';

/** A hundred thousand tags of one project, in the order in which GitLab lists them. */
const TAGS = Array.from({ length: 100_000 }, (_, index) => ({
  name: `v0.${index % 300}.${index}-rc.${index}.x`,
  commit: 'a'.repeat(40) as CommitId,
})).toSorted((one, other) => (one.name < other.name ? -1 : 1));
const VERSIONS = TAGS.map(({ name }) => name as Version);

const project: Project = {
  id: 1,
  path: 'a/c',
  httpUrl: 'https://a.b/c.git',
  archived: false,
  hasCode: true,
  isBeingDeleted: false,
  createdAt: undefined,
  lastActivityAt: undefined,
};
const place: ModulePlace = { path: modulePath('a.b/c'), project, root: 'a.b/c', directory: '', major: '' };
const revision: Revision = { id: 'b'.repeat(40) as CommitId, committedAt: new Date(0), ref: 'main', tag: undefined };
/** A repository that answers at once, so that only the work of modpress takes time. */
const repositories = {
  tags: async () => TAGS,
  goMod: async () => undefined,
  hasReadGoMod: () => true,
  firstInHistory: async <T>(_project: number, _commit: CommitId, candidates: readonly T[]) => candidates[0],
} as Partial<Repositories> as Repositories;

const WORK: Readonly<Record<string, () => Promise<unknown>>> = {
  'the list of versions': () => taggedVersions(repositories, place),
  'the choice of a version': () =>
    chooseVersion({ repositories, place, revision, retractedAmong: async () => new Set() }, 'main'),
  'the checksum of the tags': () =>
    originWithTags(place, revision, 'v0.0.0-20240101000000-abcdefabcdef' as Version, TAGS),
  'the retracted versions': () => new Retractions().among(VERSIONS, Buffer.from('retract [v0.1.0, v0.9.0]\n')),
  'the version of @latest': async () => byPreference(await listedVersions(VERSIONS, async () => true)),
};

test.each(Object.entries(WORK))(
  '%s of a project with 100,000 tags does not block the event loop',
  async (_name, work) => {
    expect((await measure(work)).longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
  },
  60_000,
);
