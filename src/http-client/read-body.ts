/** The limits of a body that is read into memory: its size in bytes, and the time until its end in milliseconds. */
export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/** A body is larger than expected, or does not end in time. */
export class BodyLimitExceeded extends Error {
  override readonly name = 'BodyLimitExceeded';
}

/**
 * Reads the whole body of a response into memory. Rejects with BodyLimitExceeded and closes the connection if the body
 * exceeds a limit. The methods of Response have no limits: with them, a server could fill the memory, or keep a caller
 * waiting forever.
 */
export async function readBody(response: Response, limits: BodyLimits): Promise<Buffer> {
  const { bytes, isWhole } = await readStart(response, limits);
  if (!isWhole) throw new BodyLimitExceeded(`the body is larger than ${limits.maxBytes} bytes`);
  return bytes;
}

/**
 * Reads the beginning of a body into memory, at most `maxBytes` bytes. If the body is larger, closes the connection.
 * Rejects with BodyLimitExceeded if these bytes do not arrive in time.
 */
export async function readStart(
  { body }: Response,
  { maxBytes, timeoutMs }: BodyLimits,
): Promise<{ readonly bytes: Buffer; readonly isWhole: boolean }> {
  const reader = body?.getReader();
  if (reader === undefined) return { bytes: Buffer.alloc(0), isWhole: true };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    void reader.cancel();
  }, timeoutMs);
  try {
    const chunks: Uint8Array[] = [];
    for (let size = 0; size <= maxBytes;) {
      const { value } = await reader.read();
      // A cancelled stream looks like one that has ended.
      if (timedOut) throw new BodyLimitExceeded(`the body did not end within ${timeoutMs / 1000} s`);
      if (value === undefined) return { bytes: Buffer.concat(chunks), isWhole: true };
      size += value.length;
      chunks.push(value);
    }
    await reader.cancel();
    return { bytes: Buffer.concat(chunks).subarray(0, maxBytes), isWhole: false };
  } finally {
    clearTimeout(timer);
  }
}
