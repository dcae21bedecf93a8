import { baseUrl } from '../config/value-parsers.ts';
import { messageOf } from '../errors.ts';
import { UsageError } from './command.ts';

/**
 * Parses the value of an option that is the base URL of the service. Also accepts the full URL of `route`, which begins
 * with a slash. Throws UsageError.
 */
export function readServiceUrl(option: string, value: string, route: string): string {
  try {
    const url = baseUrl(value);
    return url.endsWith(route) ? url.slice(0, -route.length) : url;
  } catch (error) {
    throw new UsageError([`${option} ${messageOf(error)}`]);
  }
}
