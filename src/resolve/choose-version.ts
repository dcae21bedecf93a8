import { Refuse, Skip } from '../errors.ts';
import { pseudoVersion } from '../module/pseudo.ts';
import {
  canonicalVersion,
  compareVersions,
  isPseudoVersion,
  majorOf,
  matchesMajor,
  parseVersion,
  type Version,
} from '../module/version.ts';
import { checkPseudoVersion } from './check-pseudo-version.ts';
import { joinPath } from '../module/elements.ts';
import type { ModulePlace } from './place.ts';
import type { Repositories, RepositoryTag } from './repositories.ts';
import type { Revision } from './revision.ts';
import { tagPrefixOf } from './tagged-versions.ts';

/** What a version is chosen with. */
export interface ChoiceParts {
  readonly repositories: Repositories;
  readonly place: ModulePlace;
  readonly revision: Revision;
  /** Whether the module's author took a version back. Asked only where it matters: the answer costs calls. */
  readonly isRetracted: () => Promise<(version: string) => boolean>;
}

/**
 * The version that a revision is, asked for as `query`; empty for the latest commit. A version that was asked for in full
 * is itself or nothing. Else it is that of the highest tag on the commit that is not retracted, else a pseudo-version
 * after the highest tag before it (codeRepo.convert in cmd/go). Throws Skip or Refuse where there is none.
 */
export async function chooseVersion(parts: ChoiceParts, query: string): Promise<Version> {
  const { repositories, place, revision } = parts;
  const asked = parseVersion(query);
  if (asked !== undefined && isPseudoVersion(asked)) {
    const version = await checkedVersion(parts, asked, asked);
    await checkPseudoVersion(repositories, place, revision, version);
    return version;
  }
  const named = revision.tag === undefined ? undefined : tagVersion(place, revision.tag);
  if (named?.canonical) {
    const version = await checkedVersion(parts, named.version, asked).catch(orUndefined);
    if (version !== undefined) return version;
  }
  const tags = await repositories.tags(place.project.id);
  const onCommit = tags
    .filter(({ commit }) => commit === revision.id)
    .flatMap(({ name }) => tagVersion(place, name) ?? []);
  const equivalent = query === '' ? [] : onCommit.filter(({ version }) => compareVersions(version, query) === 0);
  if (equivalent.some(({ canonical }) => canonical)) return checkedVersion(parts, equivalent[0]?.version ?? '', asked);

  const isRetracted = await parts.isRetracted();
  const allows = async (version: string): Promise<boolean> =>
    !isRetracted(version) && (matchesMajor(version, place.major) || (await mayBeIncompatible(parts, version, asked)));
  let highest: string | undefined;
  for (const { version, canonical } of onCommit) {
    const higher = canonical && (highest === undefined || compareVersions(highest, version) < 0);
    if (higher && (await allows(version))) highest = version;
  }
  if (highest !== undefined) return checkedVersion(parts, highest, asked);
  // A tag like v1.2.3+meta is no version, for there may be several, but it can stand before one.
  const base = equivalent[0]?.version ?? (await versionBefore(parts, tags, allows)) ?? '';
  const made = pseudoVersion(
    place.major.slice(1).replace(/-unstable$/, ''),
    base,
    revision.committedAt,
    revision.id.slice(0, 12),
  );
  return checkedVersion(parts, made, asked);
}

/** The version that a tag names, and whether in full: v1.2.3+meta stands for v1.2.3. Undefined for no version of the module. */
function tagVersion(
  place: ModulePlace,
  tag: string,
): { readonly version: string; readonly canonical: boolean } | undefined {
  const prefix = tagPrefixOf(place);
  // The whole tag, as cmd/go looks at it: one of a directory is never taken for a pseudo-version.
  if (!tag.startsWith(prefix) || isPseudoVersion(tag)) return undefined;
  const name = tag.slice(prefix.length);
  const version = canonicalVersion(name).replace(/\+incompatible$/, '');
  return version === '' || !name.startsWith(version) ? undefined : { version, canonical: version === name };
}

/**
 * The highest version that the commit or one before it is tagged with (gitRepo.RecentTag in cmd/go). The tags from which
 * the commit itself can be reached are younger, and are left out before GitLab is asked about each.
 */
async function versionBefore(
  { repositories, place, revision }: ChoiceParts,
  tags: readonly RepositoryTag[],
  allows: (version: string) => Promise<boolean>,
): Promise<string | undefined> {
  const candidates = tags
    .flatMap((tag) => {
      const found = tagVersion(place, tag.name);
      return found ? [{ tag, version: found.version }] : [];
    })
    .toSorted((a, b) => compareVersions(b.version, a.version));
  let younger: ReadonlySet<string> = new Set();
  for (const [index, { tag, version }] of candidates.entries()) {
    // In most repositories the first one is it.
    if (index === 1) younger = await repositories.tagsContaining(place.project.id, revision.id);
    if (tag.commit !== revision.id && younger.has(tag.name)) continue;
    if ((await allows(version)) && (await repositories.isAncestor(place.project.id, tag.commit, revision.id)))
      return version;
  }
  return undefined;
}

/**
 * The version as it has to be written, with `+incompatible` where that is needed (checkCanonical in cmd/go). Throws Refuse
 * where the module's path does not allow it, or where it is another than the one that was asked for in full.
 */
async function checkedVersion(parts: ChoiceParts, version: string, asked: Version | undefined): Promise<Version> {
  const { place } = parts;
  const base = version.replace(/\+incompatible$/, '');
  const written = asked?.replace(/\+incompatible$/, '') === version ? asked : version;
  if (asked !== undefined && asked.replace(/\+incompatible$/, '') !== base) {
    throw new Skip(`${place.project.path} has no tag ${joinPath(place.directory, asked)}`);
  }
  if (matchesMajor(base, place.major)) {
    if (written.endsWith('+incompatible'))
      throw new Refuse(`${majorOf(base)} is a compatible version of ${place.path}: ask for ${base}`);
    return written as Version;
  }
  if (await mayBeIncompatible(parts, base, asked)) return `${base}+incompatible` as Version;
  if (place.major !== '')
    throw new Refuse(`the versions of ${place.path} begin with ${place.major.slice(1)}, not with ${majorOf(base)}`);
  throw new Refuse(
    `${place.path} has a go.mod, so its versions from v2 on need a path like ${joinPath(place.path, majorOf(base))}`,
  );
}

/** Whether a version of a higher major may be used without `/vN`: only from a repository that has no go.mod for it. */
async function mayBeIncompatible(
  { repositories, place, revision }: ChoiceParts,
  version: string,
  asked: Version | undefined,
): Promise<boolean> {
  if (place.directory !== '' || place.major !== '') return false;
  if (await repositories.goMod(place.project.id, revision.id, '')) return false;
  // Old go commands did not look into vN, so what is asked for by that name stays (golang.org/issue/51324).
  if (asked?.endsWith('+incompatible')) return true;
  return (await repositories.goMod(place.project.id, revision.id, majorOf(version))) === undefined;
}

function orUndefined(error: unknown): undefined {
  if (error instanceof Skip || error instanceof Refuse) return undefined;
  throw error;
}
