/** Patterns of .gitattributes (wildmatch.c of git). */

/** A pattern taken apart. Without `exact` it may match more than git's does, because a part of it was not read. */
export interface Pattern {
  readonly steps: readonly Step[];
  /** The characters that the first steps are, and the last ones: enough to tell most patterns and names apart. */
  readonly prefix: string;
  readonly suffix: string;
  /** A pattern without a slash is for the last element of a path. */
  readonly forBaseName: boolean;
  readonly exact: boolean;
}

/** One character; or any number of them, with or without slashes; or a fork: go on here, or behind the next two steps. */
type Step = ((char: string) => boolean) | 'all' | 'no slash' | 'fork';

/** In the order in which wildmatch of git looks for them. Of sets only those that mean the same in every version. */
const TOKEN =
  /(?<directories>(?<=^|\/)\*\*+(?:\/|$))|(?<stars>\*+)|(?<one>\?)|\\(?<escaped>.)|\[(?<set>[!^]?[-\w.,+=@~ ]+)\]|(?<plain>[^*?\\[])/gsy;

/** One of which nothing was read. */
export const UNREAD_PATTERN: Pattern = { steps: ['all'], prefix: '', suffix: '', forBaseName: false, exact: false };

/** Reads the pattern of a line, its bytes as characters. `isSure` is whether git takes the line into account at all. */
export function readPattern(text: string, isSure: boolean): Pattern {
  const forBaseName = !text.includes('/');
  // Such a pattern is for directories, which have no bytes.
  if (text.endsWith('/')) return { steps: [() => false], prefix: '', suffix: '', forBaseName, exact: true };
  const pattern = text.replace(/^\//, '');
  const steps: Step[] = [];
  let [prefix, suffix, read] = ['', '', 0];
  for (const { 0: token, groups = {} } of pattern.matchAll(TOKEN)) {
    const { directories, stars, one, escaped, set, plain } = groups;
    if (stars !== undefined && stars !== '*' && !forBaseName) break;
    if (set !== undefined && !isAscending(set)) break;
    if (directories?.endsWith('/')) steps.push('fork', 'all', literally('/'));
    else if (directories !== undefined) steps.push('all');
    else if (stars !== undefined) steps.push('no slash');
    else if (one !== undefined) steps.push((char) => char !== '/');
    else if (set !== undefined) steps.push(oneOf(set));
    else steps.push(literally(escaped ?? plain ?? ''));
    const literal = escaped ?? plain;
    if (literal !== undefined && prefix.length === steps.length - 1) prefix += literal;
    suffix = literal === undefined ? '' : suffix + literal;
    read += token.length;
  }
  if (pattern.includes(NO_UTF8)) return { ...UNREAD_PATTERN, forBaseName };
  return read === pattern.length
    ? { steps, prefix, suffix, forBaseName, exact: isSure }
    : { steps: [...steps, 'all'], prefix, suffix: '', forBaseName, exact: false };
}

/** What stands in a text, as bytes, for bytes that were no UTF-8. */
const NO_UTF8 = '\u00ef\u00bf\u00bd';

function literally(expected: string): Step {
  return (char) => char === expected;
}

function oneOf(set: string): Step {
  const expression = new RegExp(`^[${set.replace(/^!/, '^')}]$`, 's');
  return (char) => char !== '/' && expression.test(char);
}

function isAscending(set: string): boolean {
  return Array.from(set.replace(/^[!^]/, '').matchAll(/(.)-(.)/g)).every(([, first = '', last = '']) => first <= last);
}

/** What comparing has cost so far: 1 for a look at a pattern's ends, PLACE_WORK for each character and place in a pattern. */
export interface Work {
  work: number;
}

const PLACE_WORK = 10;

/**
 * Whether a path, or its last element for a pattern that is `forBaseName`, matches: all ways through the pattern at once, so that
 * none takes more than its length times that of the name.
 */
export function matches({ steps, prefix, suffix }: Pattern, name: string, spent: Work): boolean {
  spent.work++;
  if (!name.startsWith(prefix) || !name.endsWith(suffix)) return false;
  if (prefix.length === steps.length) return name.length === prefix.length;
  if (steps[prefix.length] === 'no slash' && steps.length === prefix.length + 1 + suffix.length) {
    return (
      name.length >= prefix.length + suffix.length &&
      !name.slice(prefix.length, name.length - suffix.length).includes('/')
    );
  }
  let places = reachable(steps, [prefix.length]);
  for (const char of name.slice(prefix.length)) {
    spent.work += PLACE_WORK * places.size;
    const next: number[] = [];
    for (const place of places) {
      const step = steps[place];
      if (step === 'all' || (step === 'no slash' && char !== '/')) next.push(place);
      else if (typeof step === 'function' && step(char)) next.push(place + 1);
    }
    if (next.length === 0) return false;
    places = reachable(steps, next);
  }
  return places.has(steps.length);
}

/** The places, and those that can be reached from them without a character. */
function reachable(steps: readonly Step[], places: readonly number[]): ReadonlySet<number> {
  const found = new Set(places);
  // What is added while a set is walked through is walked through as well.
  for (const place of found) {
    const step = steps[place];
    if (step !== undefined && typeof step !== 'function') found.add(place + 1);
    if (step === 'fork') found.add(place + 3);
  }
  return found;
}
