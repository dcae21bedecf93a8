import type { Request } from 'express';
import { badParameter } from './error.ts';

/**
 * Returns a parameter as text, or undefined if it is missing. The last value of a repeated parameter counts, as in
 * Rack.
 */
export function text(request: Request, name: string): string | undefined {
  const value: unknown = request.query[name];
  const last: unknown = Array.isArray(value) ? value.at(-1) : value;
  return typeof last === 'string' ? last : undefined;
}

/** Returns a boolean parameter, or undefined if it is missing. Throws ApiError 400 for another value. */
export function flag(request: Request, name: string): boolean | undefined {
  const value = text(request, name);
  if (value === undefined || value === '') return undefined;
  if (/^(true|t|1|on)$/i.test(value)) return true;
  if (/^(false|f|0|off)$/i.test(value)) return false;
  throw badParameter(`${name} is invalid`);
}

/** Returns an integer parameter, or the default. Throws ApiError 400 for another value. */
export function integer(request: Request, name: string, byDefault: number): number {
  const value = text(request, name);
  if (value === undefined || value === '') return byDefault;
  if (!/^-?\d+$/.test(value)) throw badParameter(`${name} is invalid`);
  return Number(value);
}

/** Returns a parameter with a fixed set of values, or the default. Throws ApiError 400 for another value. */
export function choice<Word extends string>(
  request: Request,
  name: string,
  words: readonly Word[],
  byDefault: Word,
): Word {
  const value = text(request, name);
  if (value === undefined) return byDefault;
  const word = words.find((candidate) => candidate === value);
  if (word === undefined) throw badParameter(`${name} does not have a valid value`);
  return word;
}
