import { request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import { listen } from '../services/http-stub.ts';

/** The number of files in a huge tree that belong to the module. */
export const HUGE_TREE_OWN = 300;
/** The content of each file except go.mod. */
export const HUGE_TREE_BYTES = Buffer.from('package x\n');

const PER_NESTED_MODULE = 500;
const PER_DIRECTORY = 50;
const PER_PAGE = 100;

/**
 * Returns the paths of a tree, without go.mod. A few files belong to the module. Half of the others are in nested
 * modules, and half are vendored.
 */
export function* hugeTree(files: number): Generator<string> {
  const others = files - HUGE_TREE_OWN;
  for (let index = 1; index < HUGE_TREE_OWN; index++) yield `internal/source${index}.go`;
  for (let index = 0; index < others; index++) {
    const directory = String(Math.floor(index / PER_DIRECTORY));
    if (index >= others / 2) yield `vendor/example.com/dependency/part${directory}/source${index}.go`;
    else if (index % PER_NESTED_MODULE === 0) yield `tools/module${Math.floor(index / PER_NESTED_MODULE)}/go.mod`;
    else yield `tools/module${Math.floor(index / PER_NESTED_MODULE)}/part${directory}/source${index}.go`;
  }
}

/** Maps paths to blob ids. */
export type Tree = ReadonlyMap<string, string>;

/**
 * A proxy in front of GitLab that lists the tree of one project itself, in Gitaly's order, and forwards all other
 * requests. For each page, the stand-in for GitLab searches from the beginning, which takes hours for thousands of
 * pages.
 */
export async function startTreeFront(
  url: string,
  projectId: number,
  tree: Tree,
): Promise<AsyncDisposable & { readonly url: string }> {
  const listed = [...tree].toSorted(([one], [other]) => (one < other ? -1 : 1));
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const asked = new URL(request.url ?? '', `http://${request.headers.host}`);
    if (asked.pathname !== `/api/v4/projects/${projectId}/repository/tree`) return passOn(request, response, url);
    const start = Number(asked.searchParams.get('page_token') ?? 0);
    const page = listed.slice(start, start + PER_PAGE);
    if (start + PER_PAGE < listed.length) {
      asked.searchParams.set('page_token', String(start + PER_PAGE));
      response.setHeader('Link', `<${asked.href}>; rel="next"`);
    }
    response.setHeader('Content-Type', 'application/json');
    response.end(
      JSON.stringify(
        page.map(([path, id]) => ({
          id,
          name: path.slice(path.lastIndexOf('/') + 1),
          type: 'blob',
          path,
          mode: '100644',
        })),
      ),
    );
  };
  return await listen(answer);
}

function passOn(request: IncomingMessage, response: ServerResponse, url: string): void {
  const passed = forward(url + (request.url ?? ''), { method: request.method, headers: request.headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  passed.on('error', () => response.destroy());
  request.pipe(passed);
}
