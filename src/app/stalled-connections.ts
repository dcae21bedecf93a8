import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** The slowest rate at which a client may take a response: so many bytes in so many milliseconds. */
export interface ClientRate {
  readonly bytes: number;
  readonly windowMs: number;
}

/** How often connections are checked in one window. */
const CHECKS_PER_WINDOW = 12;

/** The bytes that a connection had sent when its current window began. */
interface Window {
  readonly startedAt: number;
  readonly sent: number;
}

/**
 * Closes each connection of the server whose client takes fewer than `bytes` bytes within `windowMs`, although all of
 * this time there are bytes to send. A stalled client would otherwise keep an open file, or a connection to the store,
 * for as long as it likes. A response that waits for its own source does not count. `onClose` is called for each closed
 * connection.
 */
export function closeStalledConnections(
  server: Server,
  { bytes, windowMs }: ClientRate,
  onClose: (socket: Socket) => void,
): void {
  const windows = new Map<Socket, Window | undefined>();
  server.on('connection', (socket) => {
    windows.set(socket, undefined);
    socket.once('close', () => windows.delete(socket));
  });
  const check = (): void => {
    const now = performance.now();
    for (const [socket, window] of windows) {
      // `bytesWritten` includes the bytes that still wait in this process.
      const sent = socket.bytesWritten - socket.writableLength;
      if (socket.writableLength === 0) windows.set(socket, undefined);
      else if (window === undefined || sent - window.sent >= bytes) windows.set(socket, { startedAt: now, sent });
      else if (now - window.startedAt >= windowMs) {
        onClose(socket);
        socket.destroy();
      }
    }
  };
  const timer = setInterval(check, windowMs / CHECKS_PER_WINDOW).unref();
  server.once('close', () => clearInterval(timer));
}
