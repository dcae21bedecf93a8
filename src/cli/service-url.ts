import { baseUrl } from '../config/value-parsers.ts';
import { messageOf } from '../errors.ts';
import { UsageError } from './command.ts';

/**
 * Parses the value of an option as the base URL of the service. Also accepts the base URL followed by `route`, which
 * begins with a slash, and removes the route. Throws UsageError.
 */
export function readServiceUrl(option: string, value: string, route: string): string {
  try {
    const url = baseUrl(value);
    return url.endsWith(route) ? url.slice(0, -route.length) : url;
  } catch (error) {
    throw new UsageError([`${option} ${messageOf(error)}`]);
  }
}
