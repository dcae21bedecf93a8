/**
 * A parsed pattern of .gitattributes (wildmatch.c of git). Without `exact` it may match more names than in git, because the
 * parser does not understand a part of it.
 */
export interface Pattern {
  readonly steps: readonly Step[];
  /** The literal characters at the start and at the end: enough to rule out most names quickly. */
  readonly prefix: string;
  readonly suffix: string;
  /** A pattern without a slash matches the last element of a path. */
  readonly forBaseName: boolean;
  readonly exact: boolean;
}

/**
 * A function accepts one character. `all` and `no slash` accept any number of characters, with or without slashes. `fork`
 * continues both with the next step and after the next two steps.
 */
type Step = ((char: string) => boolean) | 'all' | 'no slash' | 'fork';

/**
 * The tokens, in the order in which git's wildmatch looks for them, with only those sets that mean the same in every
 * version of git.
 */
const TOKEN =
  /(?<directories>(?<=^|\/)\*\*+(?:\/|$))|(?<stars>\*+)|(?<anyChar>\?)|\\(?<escaped>.)|\[(?<set>[!^]?[-\w.,+=@~ ]+)\]|(?<plain>[^*?\\[])/gsy;

/** A pattern that was not parsed: it may match every name. */
export const UNREAD_PATTERN: Pattern = { steps: ['all'], prefix: '', suffix: '', forBaseName: false, exact: false };

/** Parses a pattern, given with one character for each byte. `isSure` tells whether every version of git uses the line. */
export function readPattern(text: string, isSure: boolean): Pattern {
  const forBaseName = !text.includes('/');
  // A final slash matches only directories, which have no bytes to convert.
  if (text.endsWith('/')) return { steps: [() => false], prefix: '', suffix: '', forBaseName, exact: true };
  const pattern = text.replace(/^\//, '');
  const steps: Step[] = [];
  let [prefix, suffix, read] = ['', '', 0];
  for (const { 0: token, groups = {} } of pattern.matchAll(TOKEN)) {
    const { directories, stars, anyChar, escaped, set, plain } = groups;
    if (stars !== undefined && stars !== '*' && !forBaseName) break;
    if (set !== undefined && !isAscending(set)) break;
    if (directories?.endsWith('/')) steps.push('fork', 'all', literally('/'));
    else if (directories !== undefined) steps.push('all');
    else if (stars !== undefined) steps.push('no slash');
    else if (anyChar !== undefined) steps.push((char) => char !== '/');
    else if (set !== undefined) steps.push(oneOf(set));
    else steps.push(literally(escaped ?? plain ?? ''));
    const literal = escaped ?? plain;
    if (literal !== undefined && prefix.length === steps.length - 1) prefix += literal;
    suffix = literal === undefined ? '' : suffix + literal;
    read += token.length;
  }
  if (pattern.includes(REPLACEMENT_CHARACTER)) return { ...UNREAD_PATTERN, forBaseName };
  return read === pattern.length
    ? { steps, prefix, suffix, forBaseName, exact: isSure }
    : { steps: [...steps, 'all'], prefix, suffix: '', forBaseName, exact: false };
}

/** The bytes of U+FFFD, which replaces bytes that are not UTF-8. */
const REPLACEMENT_CHARACTER = '\u00ef\u00bf\u00bd';

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

/** The cost of matching so far: 1 for comparing a pattern's ends, PLACE_WORK for each character and place in the pattern. */
export interface Work {
  work: number;
}

const PLACE_WORK = 10;

/**
 * Whether a pattern matches a path, or the last element of a path if it is `forBaseName`. It follows all paths through the
 * pattern at once, so the work is at most the length of the pattern times that of the name.
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

/** Returns the given places in the pattern, and the places that can be reached from them without consuming a character. */
function reachable(steps: readonly Step[], places: readonly number[]): ReadonlySet<number> {
  const reached = new Set(places);
  // The loop also visits the places that it adds.
  for (const place of reached) {
    const step = steps[place];
    if (step !== undefined && typeof step !== 'function') reached.add(place + 1);
    if (step === 'fork') reached.add(place + 3);
  }
  return reached;
}
