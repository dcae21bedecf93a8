import { compareVersions } from '../../src/module/version.ts';
import type { CorpusModule } from './corpus.ts';

/**
 * A repository, or a part of one. It contains the versions of a module path and of the paths that differ from it only
 * in `/vN`.
 */
export interface CorpusRepository {
  /** The import path of the repository root. */
  readonly root: string;
  /** The full path of the project in GitLab. */
  readonly project: string;
  /** The modules in the order of the commits, which is the order of the versions. */
  readonly modules: readonly CorpusModule[];
}

/** GitLab's limit on archives per minute and project. */
const VERSIONS = 5;
/** The group of the projects whose paths do not follow from the module path. */
const APART = 'apart';

/**
 * Creates repositories from the modules, and distributes them to several GitLabs. In one GitLab, no repository has more
 * versions than modpress can build from archives in a minute. A repository with more versions is divided among several
 * GitLabs.
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

/** Returns MODULE_MAP for the repositories, with one entry for each host and one for each project with another path. */
export function moduleMap(repositories: readonly CorpusRepository[]): string {
  const entries = repositories.map(({ root, project }) => {
    const [host = ''] = root.split('/');
    return project === `corpus/${root}` ? `${host}=corpus/${host}` : `${root}=${project}`;
  });
  return [...new Set(entries)].join(',');
}

/**
 * Returns the path of the project of a repository. The path is `corpus/<root>` unless GitLab would refuse it. GitLab
 * refuses a path inside another project, and a path that differs from another path only in case. All repositories of a
 * host get other paths if the host itself is a root. Other paths are also used for gopkg.in, as README.md advises, and
 * for github.com, whose repositories the go command locates itself.
 */
function projectOf(root: string, roots: readonly string[]): string {
  const [host = ''] = root.split('/');
  const hasNoRoom = roots.some(
    (other) => other === host || root.startsWith(`${other}/`) || (other !== root && other === root.toLowerCase()),
  );
  if (host === 'github.com') return root.slice(host.length + 1);
  return hasNoRoom || host === 'gopkg.in' ? `${APART}/${root.replaceAll('/', '_')}` : `corpus/${root}`;
}
