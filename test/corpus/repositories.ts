import { compareVersions } from '../../src/module/version.ts';
import type { CorpusModule } from './corpus.ts';

/** A repository, or a part of it: the versions of a module path, and of the paths that differ from it only in `/vN`. */
export interface CorpusRepository {
  /** Import path of its root. */
  readonly root: string;
  /** Full path of its project in GitLab. */
  readonly project: string;
  /** In the order of the commits, which is the order of the versions. */
  readonly modules: readonly CorpusModule[];
}

/** GitLab's limit of archives per minute and project. */
const VERSIONS = 5;
/** The group of projects whose path does not follow from the module path. */
const APART = 'apart';

/**
 * Makes repositories from the modules and distributes them over several GitLabs, so that no repository has more versions than
 * modpress builds in a minute. A repository with more versions is divided among several GitLabs.
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

/** MODULE_MAP for the repositories: one entry for each host, and one for each repository in a project with another path. */
export function moduleMap(repositories: readonly CorpusRepository[]): string {
  const entries = repositories.map(({ root, project }) => {
    const [host = ''] = root.split('/');
    return project === `corpus/${root}` ? `${host}=corpus/${host}` : `${root}=${project}`;
  });
  return [...new Set(entries)].join(',');
}

/**
 * The project of a repository: `corpus/<root>`. A repository needs another path if GitLab does not allow this one: inside
 * another project, beside a project whose path differs only in case, or if the host itself is a root. Other paths are also
 * used for gopkg.in, as README.md advises, and for github.com, whose repositories the go command locates itself.
 */
function projectOf(root: string, roots: readonly string[]): string {
  const [host = ''] = root.split('/');
  const hasNoRoom = roots.some(
    (other) => other === host || root.startsWith(`${other}/`) || (other !== root && other === root.toLowerCase()),
  );
  if (host === 'github.com') return root.slice(host.length + 1);
  return hasNoRoom || host === 'gopkg.in' ? `${APART}/${root.replaceAll('/', '_')}` : `corpus/${root}`;
}
