import { compareVersions } from '../../src/module/version.ts';
import type { CorpusModule } from './corpus.ts';

/** A repository, or a part of one: the versions of a module path, and of those that differ from it in their `/vN` alone. */
export interface CorpusRepository {
  /** Import path of its root. */
  readonly root: string;
  /** Full path of its project in GitLab. */
  readonly project: string;
  /** In the order in which they were committed, which is that of their versions. */
  readonly modules: readonly CorpusModule[];
}

/** Archives that GitLab allows in a minute for a project. */
const VERSIONS = 5;
/** Where projects are whose place their module path does not tell. */
const APART = 'apart';

/**
 * Makes repositories of the modules, and deals them out to several GitLabs: none has a repository with more versions than
 * modpress builds in a minute. A repository that has more is in several of them, with other versions each.
 */
export function dealOut(modules: readonly CorpusModule[]): readonly (readonly CorpusRepository[])[] {
  const roots = [...new Set(modules.map(({ root }) => root))];
  const shares: CorpusRepository[][] = [];
  for (const root of roots) {
    const ordered = modules
      .filter((module) => module.root === root)
      .toSorted((a, b) => compareVersions(a.version, b.version));
    for (let first = 0; first < ordered.length; first += VERSIONS) {
      const share = (shares[first / VERSIONS] ??= []);
      share.push({ root, project: projectOf(root, roots), modules: ordered.slice(first, first + VERSIONS) });
    }
  }
  return shares;
}

/** MODULE_MAP for the repositories: one entry for each host as far as their places allow it, and one for each that is apart. */
export function moduleMap(repositories: readonly CorpusRepository[]): string {
  const entries = repositories.map(({ root, project }) => {
    const [host = ''] = root.split('/');
    return project === `corpus/${root}` ? `${host}=corpus/${host}` : `${root}=${project}`;
  });
  return [...new Set(entries)].join(',');
}

/**
 * The project of a repository: `corpus/<root>`. It is apart where GitLab has no room for it there: in another project, beside
 * one whose path differs in case alone, or because the host itself is a root. So are all of gopkg.in, as README.md advises, and
 * github.com, of which the go command knows itself where repositories are.
 */
function projectOf(root: string, roots: readonly string[]): string {
  const [host = ''] = root.split('/');
  const hasNoRoom = roots.some(
    (other) => other === host || root.startsWith(`${other}/`) || (other !== root && other === root.toLowerCase()),
  );
  if (host === 'github.com') return root.slice(host.length + 1);
  return hasNoRoom || host === 'gopkg.in' ? `${APART}/${root.replaceAll('/', '_')}` : `corpus/${root}`;
}
