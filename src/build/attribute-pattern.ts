/**
 * A parsed pattern of .gitattributes (wildmatch.c of git). If `exact` is false, the pattern may match more names than
 * in git: the parser does not support a part of the pattern, or not every version of git uses the line.
 */
export interface Pattern {
  readonly steps: readonly Step[];
  /** The literal characters at the start of the pattern. Most names can be ruled out by `prefix` and `suffix` alone. */
  readonly prefix: string;
  readonly suffix: string;
  /** Whether the pattern has no slash, so that it is matched with the last element of a path. */
  readonly forBaseName: boolean;
  readonly exact: boolean;
}

/**
 * A step of a pattern. A function accepts one character. `all` accepts any number of characters, and `no slash` accepts
 * any number of characters except slashes. `fork` continues both with the next step and after the next two steps.
 */
type Step = ((char: string) => boolean) | 'all' | 'no slash' | 'fork';

/**
 * Matches the next token of a pattern. The alternatives are in the order in which git's wildmatch tests them. Only
 * those sets are supported that have the same meaning in every version of git.
 */
const TOKEN =
  /(?<directories>(?<=^|\/)\*\*+(?:\/|$))|(?<stars>\*+)|(?<anyChar>\?)|\\(?<escaped>.)|\[(?<set>[!^]?[-\w.,+=@~ ]+)\]|(?<plain>[^*?\\[])/gsy;

/** The result for a pattern that cannot be parsed. It may match every name. */
export const UNREAD_PATTERN: Pattern = { steps: ['all'], prefix: '', suffix: '', forBaseName: false, exact: false };

/** Parses a pattern. `text` has one character for each byte. `isSure` is true if every version of git uses the line. */
export function readPattern(text: string, isSure: boolean): Pattern {
  const forBaseName = !text.includes('/');
  // A pattern with a final slash matches only directories, and a directory has no bytes to convert.
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

/**
 * The cost of matching so far. A comparison of prefix and suffix costs 1. Each character costs PLACE_WORK for each
 * place in the pattern that is examined.
 */
export interface Work {
  work: number;
}

const PLACE_WORK = 10;

/**
 * Whether a pattern matches a name, and adds the cost to `spent`. `name` is the last element of a path if the pattern
 * is `forBaseName`, and otherwise the whole path. All possible places in the pattern are tracked at once. The cost is
 * therefore at most proportional to the length of the pattern times the length of the name.
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

/**
 * Returns the given places in the pattern, and the places that can be reached from them without consuming a character.
 */
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
