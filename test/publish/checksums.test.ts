import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashGoMod } from '../../src/module/hash.ts';
import type { Outcome } from '../../src/publish/outcome.ts';
import { downloadDirect, type DirectDownload, type DownloadedModule } from '../gitlab/direct-mode.ts';
import { startGitLab, type StandIn } from '../gitlab/stand-in.ts';
import { WorkTree, type FileContent } from '../gitlab/work-tree.ts';
import { CASES, REJECTIONS } from './cases.ts';
import { startPublishing, type Publishing } from './publishing.ts';

const HOST = 'gitlab.example';

let gitlab: StandIn;
let publishing: Publishing;
let temporary: string;
let direct: DirectDownload;
/** The project of each case and rejection, by its name. */
const projects = new Map<string, { id: number; path: string }>();

beforeAll(async () => {
  gitlab = await startGitLab({ archiveLimit: 'off' });
  temporary = await mkdtemp(join(tmpdir(), 'modpress-checksums-'));
  publishing = await startPublishing(gitlab, temporary, { modulePrefix: HOST });
  for (const { name, project, files, later, tags, laterTags, annotated, committerZone } of CASES) {
    const made = await gitlab.createProject(project ?? `cases/${slug(name)}`);
    projects.set(name, made);
    await using tree = await WorkTree.create(made);
    tree.write(forProject(files, made.path));
    await tree.commit('First', { ...(committerZone !== undefined && { committerZone }) });
    await tree.tag(tags, { annotated: annotated === true });
    if (later && laterTags) {
      tree.write(forProject(later, made.path));
      await tree.commit('Second');
      await tree.tag(laterTags);
    }
    await tree.push();
  }
  for (const { name, files, tag } of REJECTIONS) {
    const made = await gitlab.createProject(`rejections/${slug(name)}`);
    projects.set(name, made);
    await using tree = await WorkTree.create(made);
    tree.write(forProject(files, made.path));
    await tree.commit('Only');
    await tree.tag(tag);
    await tree.push();
  }
  const queries = [...CASES.flatMap(queriesOf), ...REJECTIONS.flatMap(queriesOf)];
  direct = await downloadDirect(gitlab, HOST, ...queries);
}, 300_000);

afterAll(async () => {
  await direct?.[Symbol.asyncDispose]();
  await gitlab?.close();
  await rm(temporary, { recursive: true, force: true });
});

describe('what is published has the checksums of GOPROXY=direct', () => {
  test.each(CASES)('$name', async (shape) => {
    const tags = [...shape.tags, ...(shape.laterTags ?? [])];
    for (const [index, query] of queriesOf(shape).entries()) {
      const truth = answerFor(query);
      expect(truth.Error).toBeUndefined();
      const outcome = await publish(shape.name, tags[index] ?? '');
      expect(outcome).toMatchObject({ status: 'published', module: truth.Path, version: truth.Version, h1: truth.Sum, goModH1: truth.GoModSum });
      expect(hashGoMod(await publishing.read(truth.Path, truth.Version, 'mod'))).toBe(truth.GoModSum);
      const info = JSON.parse((await publishing.read(truth.Path, truth.Version, 'info')).toString()) as { Version: string; Time: string };
      const directInfo = JSON.parse(await readFile(truth.Info ?? '', 'utf8')) as { Version: string; Time: string };
      expect({ Version: info.Version, Time: info.Time }).toEqual({ Version: directInfo.Version, Time: directInfo.Time });
    }
  });
});

describe('what the go command refuses, modpress does not publish, and says why', () => {
  test.each(REJECTIONS)('$name', async (shape) => {
    const outcome = await publish(shape.name, shape.tag);
    expect(outcome).toMatchObject({ status: shape.status, reason: expect.stringContaining(shape.says) });
    const errors = queriesOf(shape).map((query) => answerFor(query).Error);
    expect(errors).not.toContain(undefined);
  });
});

async function publish(name: string, tag: string): Promise<Outcome> {
  const result = await publishing.publisher.publish({ projectId: projects.get(name)?.id ?? 0, tag });
  if ('dismissed' in result) throw new Error(result.dismissed);
  return result.outcome;
}

function queriesOf(shape: { name: string; modules: readonly string[] } | { name: string; query: string | undefined }): string[] {
  const queries = 'modules' in shape ? shape.modules : [shape.query ?? []].flat();
  return queries.map((query) => query.replace('PROJECT', `${HOST}/${projects.get(shape.name)?.path}`));
}

function answerFor(query: string): DownloadedModule {
  const at = query.lastIndexOf('@');
  const [path, version] = [query.slice(0, at), query.slice(at + 1)];
  const answer = direct.modules.find((module) => module.Path === path && (module.Version === version || module.Query === version));
  if (!answer) throw new Error(`go mod download did not answer for ${query}`);
  return answer;
}

function forProject(files: Readonly<Record<string, FileContent>>, path: string): Record<string, FileContent> {
  return Object.fromEntries(
    Object.entries(files).map(([name, content]) => [name, typeof content === 'string' ? content.replaceAll('PROJECT', `${HOST}/${path}`) : content]),
  );
}

function slug(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, '');
}
