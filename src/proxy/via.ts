import { createHash } from 'node:crypto';

/**
 * Detects loops between proxies: a service that is its own upstream would wait for its own answer. Each request to an
 * upstream has a `Via` header (RFC 9110, section 7.6.3) with the name of this service and those of the proxies before
 * it.
 */

/** A longer header is a loop too, through services with changing names. */
const MAX_VIA_ENTRIES = 20;

/**
 * Returns the name of a service in `Via`. All replicas of a service give the same `identity`, and another service gives
 * another one.
 */
export function viaName(identity: readonly string[]): string {
  return `modpress-${createHash('sha256').update(identity.join('\n')).digest('hex').slice(0, 16)}`;
}

/** The `Via` header of a request to an upstream, after a request with the header `received`. */
export function nextVia(received: string | undefined, name: string): string {
  return received === undefined ? `1.1 ${name}` : `${received}, 1.1 ${name}`;
}

/** Whether a request with this `Via` header has already passed through the service `name`. */
export function isLoop(via: string | undefined, name: string): boolean {
  const entries = (via ?? '').split(',', MAX_VIA_ENTRIES + 1).map((entry) => entry.trim());
  return entries.length > MAX_VIA_ENTRIES || entries.some((entry) => entry.split(/\s+/)[1] === name);
}
