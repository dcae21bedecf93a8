import { describe, expect, test } from 'vitest';
import { NotFound, TryAgainLater, type ModuleSource } from '../../src/proxy/module-source.ts';
import { OnDemandModules } from '../../src/proxy/on-demand-modules.ts';
import { RequestFailed } from '../../src/requests/requests.ts';
import { modulePath } from './modules.ts';

const MODULE = 'gitlab.example/group/lib';

/** Requests the list of a path while no worker answers. Returns the error, and the number of reads of the store. */
async function ask(path: string): Promise<{ error: unknown; reads: number }> {
  let reads = 0;
  const published: ModuleSource = {
    answer: async ({ module }) => {
      reads++;
      if (module !== MODULE) throw new NotFound(module);
      return { kind: 'bytes', body: Buffer.from('v1.0.0\n'), immutable: false };
    },
  };
  const modules = new OnDemandModules({
    published,
    requests: { request: () => Promise.reject(new RequestFailed('no worker')) },
    withdrawnOf: async () => new Set(),
  });
  const error = await modules.answer({ kind: 'latest', module: modulePath(path) }).catch((thrown: unknown) => thrown);
  return { error, reads };
}

describe('a path that is not published, while no worker answers,', () => {
  test.each([1, 10, 30])('is not found if it is %i directories below a published module', async (depth) => {
    expect((await ask(`${MODULE}${'/a'.repeat(depth)}`)).error).toBeInstanceOf(NotFound);
  });

  test('is not available if no module above it is published', async () => {
    expect((await ask('gitlab.example/other/lib/a')).error).toBeInstanceOf(TryAgainLater);
  });

  test('costs few reads of the store, however long it is', async () => {
    const { error, reads } = await ask(`gitlab.example${'/a'.repeat(480)}`);
    expect(error).toBeInstanceOf(TryAgainLater);
    expect(reads).toBeLessThan(35);
  });
});
