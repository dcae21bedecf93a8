import { createHash } from 'node:crypto';
import { z } from 'zod';
import { parseJson } from '../io/json.ts';
import { compareBytes } from '../module/hash.ts';
import { canonicalVersion, isPseudoVersion, type Version } from '../module/version.ts';
import type { ModulePlace } from './place.ts';
import type { RepositoryTag } from './repositories.ts';
import type { Revision } from './revision.ts';

/** Where a version comes from, in the words of codehost.Origin in cmd/go and in its order. What does not apply is left out. */
export interface Origin {
  readonly VCS: 'git';
  readonly URL: string;
  /** Directory of the module, without the `vN` that may be below. */
  readonly Subdir?: string;
  readonly Hash: string;
  /** The tags on which a pseudo-version depends: those that begin so, and a checksum over them and their commits. */
  readonly TagPrefix?: string;
  readonly TagSum?: string;
  readonly Ref?: string;
}

/** The origin of a version. */
export function originOf({ project, directory }: ModulePlace, { id, ref }: Revision, version: Version): Origin {
  return {
    VCS: 'git',
    URL: project.httpUrl,
    ...(directory !== '' && { Subdir: directory }),
    Hash: id,
    // For a pseudo-version, which names its commit, it does not matter how it was come upon (writeDiskStat in cmd/go).
    ...(ref !== undefined && !isPseudoVersion(version) && { Ref: ref }),
  };
}

/**
 * The origin of a pseudo-version as the answer to another query, which could be answered otherwise once there are other
 * tags (codeRepo.convert in cmd/go). `tags` are all of the repository.
 */
export function originWithTags(
  place: ModulePlace,
  revision: Revision,
  version: Version,
  tags: readonly RepositoryTag[],
): Origin {
  const { VCS, URL, Subdir, Hash } = originOf(place, revision, version);
  const directory = place.directory === '' ? '' : `${place.directory}/`;
  const prefix = directory + (place.major === '' ? '' : `${place.major.slice(1)}.`);
  return {
    VCS,
    URL,
    ...(Subdir !== undefined && { Subdir }),
    Hash,
    ...(prefix !== '' && { TagPrefix: prefix }),
    TagSum: tagSum(tags, prefix, directory),
    ...(revision.ref !== undefined && { Ref: revision.ref }),
  };
}

/** The text of `.info`: what json.Marshal makes of modfetch.RevInfo. */
export function infoText(version: Version, time: Date, origin: Origin): string {
  return JSON.stringify({ Version: version, Time: time.toISOString().replace(/\.\d+Z$/, 'Z'), Origin: origin });
}

const originSchema = z.object({ Origin: z.object({ URL: z.string(), Hash: z.string() }) });

/** Where an `.info` says that its version comes from; undefined if it does not, as those from before there was an Origin. */
export function originIn(info: string): { readonly URL: string; readonly Hash: string } | undefined {
  return originSchema.safeParse(parseJson(info)).data?.Origin;
}

/** gitRepo.Tags in cmd/go. Names with anything but printable ASCII would need Go's quoting; a version has none. */
function tagSum(tags: readonly RepositoryTag[], prefix: string, directory: string): string {
  const sum = createHash('sha256');
  for (const { name, commit } of tags.toSorted((a, b) => compareBytes(a.name, b.name))) {
    if (name.startsWith(prefix) && isVersionTag(name.slice(directory.length)))
      sum.update(`${JSON.stringify(name)} ${commit}\n`);
  }
  return `t1:${sum.digest('base64')}`;
}

/** isOriginTag in cmd/go: versions, and those with build metadata. */
function isVersionTag(name: string): boolean {
  const canonical = canonicalVersion(name).replace(/\+incompatible$/, '');
  return canonical !== '' && name.startsWith(canonical) && !isPseudoVersion(name);
}
