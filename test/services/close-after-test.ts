import { onTestFinished } from 'vitest';

/** Closes a resource after the current test, in the reverse order of the calls. Returns the resource. */
export function closeAfterTest<T extends AsyncDisposable>(resource: T): T {
  onTestFinished(() => resource[Symbol.asyncDispose]());
  return resource;
}
