import { createHash } from 'node:crypto';
import { Router, type Request, type Response } from 'express';
import type { Git } from '../git.ts';
import type { ApiContext } from './context.ts';
import { badParameter, notFound } from './error.ts';
import { text } from './query.ts';

interface Found {
  readonly data: Buffer;
  /** GitLab's metadata of the file. GitLab sends it as JSON and, prefixed with `X-Gitlab-`, as headers. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

/** Serves files by path, as JSON or raw, and blobs by id. The content of a symlink is its target, as git stores it. */
export function fileRoutes({ access }: ApiContext, git: Git): Router {
  const router = Router();

  router.get('/projects/:id/repository/files/:file_path', async (request, response) => {
    const ref = text(request, 'ref');
    if (ref === undefined) throw badParameter('ref is missing');
    const { data, facts } = await find(request, request.params, ref);
    announce(response, facts);
    response.json({ ...facts, content: data.toString('base64') });
  });

  router.get('/projects/:id/repository/files/:file_path/raw', async (request, response) => {
    const { data, facts } = await find(request, request.params, text(request, 'ref') ?? 'HEAD');
    announce(response, facts);
    sendBlob(response, data, String(facts['file_name']));
  });

  router.get('/projects/:id/repository/blobs/:sha/raw', async (request, response) => {
    const { repository } = access.project(request, request.params.id);
    const blob = await repository.blob(request.params.sha);
    if (blob === undefined) throw notFound('Blob');
    sendBlob(response, blob.data, '');
  });

  router.get('/projects/:id/repository/blobs/:sha', async (request, response) => {
    const { repository } = access.project(request, request.params.id);
    const blob = await repository.blob(request.params.sha);
    if (blob === undefined) throw notFound('Blob');
    response.json({ size: blob.data.length, encoding: 'base64', content: blob.data.toString('base64'), sha: blob.id });
  });

  async function find(request: Request, parameters: { id: string; file_path: string }, ref: string): Promise<Found> {
    const path = parameters.file_path;
    const { repository } = access.project(request, parameters.id, ['read_repository']);
    const commit = await repository.commit(ref);
    if (commit === undefined) throw notFound('Commit');
    const entry = await repository.entry(commit, path);
    const blob = entry?.type === 'blob' ? await repository.blob(entry.id) : undefined;
    if (entry === undefined || blob === undefined) throw notFound('File');
    // Finding the last commit of a path needs a git process. Raw reads at a commit id must be fast, so they omit this
    // step.
    const exact = ref === commit.id && request.path.endsWith('/raw');
    const last = exact
      ? commit.id
      : (await git.run(['rev-list', '-1', commit.id, '--', `:(literal)${path}`], { cwd: repository.directory }))
          .toString()
          .trim();
    return {
      data: blob.data,
      facts: {
        file_name: entry.name,
        file_path: path,
        size: blob.data.length,
        encoding: 'base64',
        content_sha256: createHash('sha256').update(blob.data).digest('hex'),
        ref,
        blob_id: blob.id,
        commit_id: commit.id,
        last_commit_id: last,
        execute_filemode: entry.mode === '100755',
      },
    };
  }

  return router;
}

function announce(response: Response, facts: Found['facts']): void {
  for (const [name, value] of Object.entries(facts)) {
    const words = name.split('_').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
    // Header values are bytes. A name beyond Latin-1 is sent as UTF-8, with one character for each byte.
    response.setHeader(`X-Gitlab-${words.join('-')}`, Buffer.from(String(value)).toString('latin1'));
  }
}

function sendBlob(response: Response, data: Buffer, name: string): void {
  const quoted = encodeURIComponent(name);
  response.setHeader('Content-Type', 'text/plain');
  response.setHeader('Content-Disposition', `inline; filename="${quoted}"; filename*=UTF-8''${quoted}`);
  response.setHeader('Cache-Control', 'max-age=0, private, must-revalidate, no-store, no-cache');
  response.setHeader('Content-Length', data.length);
  response.end(data);
}
