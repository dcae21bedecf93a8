import { createHash } from 'node:crypto';
import { z } from 'zod';
import { inSlices } from '../async/in-slices.ts';
import { sortInSlices } from '../async/sort-in-slices.ts';
import { parseJson } from '../io/json.ts';
import { compareBytes } from '../module/hash.ts';
import { hasFourDigitYear } from '../module/pseudo.ts';
import { canonicalVersion, isPseudoVersion, withoutIncompatible, type Version } from '../module/version.ts';
import type { ModulePlace } from './place.ts';
import type { RepositoryTag } from './repositories.ts';
import type { Revision } from './revision.ts';
import { tagPrefixOf } from './tagged-versions.ts';

/**
 * The origin of a version: the fields of codehost.Origin in cmd/go, in the same order. Fields that do not apply are
 * omitted.
 */
export interface Origin {
  readonly VCS: 'git';
  readonly URL: string;
  /** The directory of the module, without a `vN` below it. */
  readonly Subdir?: string;
  readonly Hash: string;
  /** The prefix of the tags on which a pseudo-version depends. */
  readonly TagPrefix?: string;
  /** A checksum of the names and commits of these tags. */
  readonly TagSum?: string;
  readonly Ref?: string;
}

/** Returns the origin of a version, without any tags on which the version depends (see `originWithTags`). */
export function originOf({ project, directory }: ModulePlace, { id, ref }: Revision, version: Version): Origin {
  return {
    VCS: 'git',
    URL: project.httpUrl,
    ...(directory !== '' && { Subdir: directory }),
    Hash: id,
    // A pseudo-version names its commit, so the ref by which the commit was found does not matter (writeDiskStat in
    // cmd/go).
    ...(ref !== undefined && !isPseudoVersion(version) && { Ref: ref }),
  };
}

/**
 * Returns the origin of a pseudo-version that depends on the tags of its repository. A new tag can change the
 * version to which the query resolves, so the origin contains a checksum of the tags (codeRepo.convert in cmd/go).
 * `tags` are all tags of the repository.
 */
export async function originWithTags(
  place: ModulePlace,
  revision: Revision,
  version: Version,
  tags: readonly RepositoryTag[],
): Promise<Origin> {
  const { VCS, URL, Subdir, Hash } = originOf(place, revision, version);
  const directory = tagPrefixOf(place);
  const prefix = directory + (place.major === '' ? '' : `${place.major.slice(1)}.`);
  return {
    VCS,
    URL,
    ...(Subdir !== undefined && { Subdir }),
    Hash,
    ...(prefix !== '' && { TagPrefix: prefix }),
    TagSum: await inSlices(tagSum(tags, prefix, directory)),
    ...(revision.ref !== undefined && { Ref: revision.ref }),
  };
}

/** Go's zero time, which stands for an unknown time. */
const ZERO_TIME = '0001-01-01T00:00:00Z';

/**
 * Returns the text of an `.info` in the format of json.Marshal for modfetch.RevInfo. The go command could not read a
 * time after the year 9999, and would then not accept the version, which it accepts in direct mode.
 */
export function infoText(version: Version, time: Date, origin: Origin): string {
  const written = hasFourDigitYear(time) ? time.toISOString().replace(/\.\d+Z$/, 'Z') : ZERO_TIME;
  return JSON.stringify({ Version: version, Time: written, Origin: origin });
}

const originSchema = z.object({ Origin: z.object({ URL: z.string(), Hash: z.string() }) });

/** Returns the origin in an `.info`, or undefined if it has none, for example because an old go command wrote it. */
export function originIn(info: string): { readonly URL: string; readonly Hash: string } | undefined {
  return originSchema.safeParse(parseJson(info)).data?.Origin;
}

/**
 * Computes the checksum of tags as gitRepo.Tags in cmd/go does. JSON quotes these names as Go does, because a version
 * contains only printable ASCII characters.
 */
function* tagSum(tags: readonly RepositoryTag[], prefix: string, directory: string): Generator<undefined, string> {
  const sum = createHash('sha256');
  for (const { name, commit } of yield* sortInSlices(tags, (a, b) => compareBytes(a.name, b.name))) {
    yield;
    if (name.startsWith(prefix) && isVersionTag(name.slice(directory.length)))
      sum.update(`${JSON.stringify(name)} ${commit}\n`);
  }
  return `t1:${sum.digest('base64')}`;
}

/** Implements isOriginTag in cmd/go, which accepts versions with and without build metadata. */
function isVersionTag(name: string): boolean {
  const canonical = withoutIncompatible(canonicalVersion(name));
  return canonical !== '' && name.startsWith(canonical) && !isPseudoVersion(name);
}
