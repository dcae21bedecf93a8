import { Core } from './core.ts';

/** Runs `work` with the parts of a command. Releases the parts afterwards, even if `work` fails. */
export async function withCore<Settings extends object, T>(
  settings: Settings,
  work: (core: Core<Settings>) => Promise<T>,
): Promise<T> {
  const core = new Core(settings);
  try {
    return await work(core);
  } finally {
    await core.close();
  }
}
