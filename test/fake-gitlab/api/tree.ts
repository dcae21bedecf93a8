import { Router } from 'express';
import type { TreeEntry } from '../objects.ts';
import type { Repository } from '../repository.ts';
import type { ApiContext } from './context.ts';
import { badParameter, notFound } from './error.ts';
import { choice, flag, text } from './query.ts';

interface Listed {
  readonly entry: TreeEntry;
  /** The path from the root of the repository. */
  readonly path: string;
}

/** The entries below a tree, and the place of each path among them. A path has only one type. */
interface Listing {
  readonly entries: readonly Listed[];
  readonly indexOf: ReadonlyMap<string, number>;
}

/** Gitaly's order of paged listings: all trees, then all blobs, then all submodules, each by the bytes of the path. */
const rank = { tree: 0, blob: 1, commit: 2 } as const;

/** Serves `/projects/:id/repository/tree`. */
export function treeRoutes({ access, pagination }: ApiContext): Router {
  const router = Router();
  const listings = new Map<string, Promise<Listing>>();

  router.get('/projects/:id/repository/tree', async (request, response) => {
    const { repository } = access.project(request, request.params.id);
    const commit = await repository.commit(text(request, 'ref') ?? 'HEAD');
    if (commit === undefined) throw notFound('Tree');
    const path = (text(request, 'path') ?? '').replace(/^\/+|\/+$/g, '');
    const start = await repository.entry(commit, path);
    if (start?.type !== 'tree') throw notFound(path === '' ? 'Tree' : 'invalid revision or path');

    const recursive = flag(request, 'recursive') ?? false;
    const { entries: listing, indexOf } = await remembered(repository, start.id, path, recursive);
    const style = choice(request, 'pagination', ['legacy', 'keyset', 'none'], 'legacy');
    if (style === 'none' && !recursive) throw badParameter('pagination cannot be "none" unless "recursive" is true');
    let page = listing;
    if (style === 'legacy') page = pagination.page(request, response, listing, 'gitaly');
    if (style === 'keyset') {
      const token = text(request, 'page_token');
      const before = token === undefined ? -1 : (indexOf.get(pathIn(token)) ?? -1);
      if (token !== undefined && before < 0) throw notFound('invalid page token');
      page = pagination.keyset(request, response, listing.slice(before + 1), (last) => ({
        page_token: pageToken(last),
      }));
    }
    response.json(
      page.map(({ entry: { id, name, type, mode }, path: full }) => ({ id, name, type, path: full, mode })),
    );
  });

  /** Returns a listing that all pages share. The id and the path of a tree determine its listing. */
  function remembered(repository: Repository, id: string, path: string, recursive: boolean): Promise<Listing> {
    const key = `${repository.directory}\0${id}\0${path}\0${String(recursive)}`;
    let listing = listings.get(key);
    if (listing === undefined) {
      listing = list(repository, id, path, recursive).then((listed) => {
        const entries = ordered(listed);
        return { entries, indexOf: new Map(entries.map((each, index) => [each.path, index])) };
      });
      listings.set(key, listing);
    }
    return listing;
  }

  return router;
}

/** Returns the cursor after an entry, in Gitaly's opaque form. */
function pageToken({ path, entry }: Listed): string {
  return Buffer.from(JSON.stringify({ FileName: path, Type: entry.type.toUpperCase() })).toString('base64');
}

/** Returns the path in a cursor. */
function pathIn(token: string): string {
  return (JSON.parse(Buffer.from(token, 'base64').toString()) as { FileName: string }).FileName;
}

async function list(repository: Repository, id: string, path: string, recursive: boolean): Promise<Listed[]> {
  const here = (await repository.tree(id)).map((entry) => ({
    entry,
    path: path === '' ? entry.name : `${path}/${entry.name}`,
  }));
  if (!recursive) return here;
  const folders = here.filter(({ entry }) => entry.type === 'tree');
  const below = await Promise.all(folders.map((folder) => list(repository, folder.entry.id, folder.path, true)));
  return [...here, ...below.flat()];
}

function ordered(entries: readonly Listed[]): readonly Listed[] {
  const keyed = entries.map((listed) => ({ listed, rank: rank[listed.entry.type], bytes: Buffer.from(listed.path) }));
  keyed.sort((one, other) => one.rank - other.rank || Buffer.compare(one.bytes, other.bytes));
  return keyed.map(({ listed }) => listed);
}
