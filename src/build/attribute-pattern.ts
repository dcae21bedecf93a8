/**
 * A parsed pattern of .gitattributes (wildmatch.c of git). If `exact` is false, the pattern may match more names than
 * in git: the parser does not support a part of the pattern, or not every version of git uses the line.
 */
export interface Pattern {
  /** The literal characters at the start of the pattern. Most names can be ruled out by `prefix` and `suffix` alone. */
  readonly prefix: string;
  readonly suffix: string;
  /**
   * The rest of the pattern. It is `nothing` if the pattern is the prefix. It is a list of texts if the pattern
   * consists of the prefix, these texts and the suffix, with stars between them. Otherwise it is the steps after the
   * prefix.
   */
  readonly rest: 'nothing' | readonly string[] | Steps;
  /** Whether the pattern has no slash, so that it is matched with the last element of a path. */
  readonly forBaseName: boolean;
  readonly exact: boolean;
}

/**
 * The steps of a pattern. A step is the character that it accepts, one of the steps below, or FIRST_SET plus an index.
 */
interface Steps {
  readonly steps: readonly number[];
  /** For each set of characters, a table that contains 1 for each accepted character. */
  readonly sets: readonly Uint8Array[];
}

/** Accepts one character except a slash. */
const ANY_CHARACTER = 256;
/** Accepts any number of characters except slashes. */
const STAR = 257;
/** Accepts any number of characters. */
const EVERYTHING = 258;
/** Continues both with the next step and after the next two steps. */
const FORK = 259;
const FIRST_SET = 260;

/** The maximum number of characters of a pattern that are parsed. Git uses no longer lines. */
const MAX_PATTERN_CHARACTERS = 2048;

/** The result for a pattern that cannot be parsed. It may match every name. */
export const UNREAD_PATTERN: Pattern = {
  prefix: '',
  suffix: '',
  rest: { steps: [EVERYTHING], sets: [] },
  forBaseName: false,
  exact: false,
};

/**
 * Parses a pattern. `text` has one character for each byte. `isSure` is true if every version of git uses the line.
 * Returns undefined for a pattern that matches no file.
 */
export function readPattern(text: string, isSure: boolean): Pattern | undefined {
  // A pattern with a final slash matches only directories, and a directory has no bytes to convert.
  if (text.endsWith('/')) return undefined;
  const forBaseName = !text.includes('/');
  const pattern = text.slice(text.startsWith('/') ? 1 : 0, MAX_PATTERN_CHARACTERS);
  const { steps, sets, end } = readSteps(pattern, forBaseName);
  const isRead = end === text.length - (text.startsWith('/') ? 1 : 0);
  if (!isRead) steps.push(EVERYTHING);
  const first = steps.findIndex((step) => step >= ANY_CHARACTER);
  if (first < 0) return { prefix: textOf(steps), suffix: '', rest: 'nothing', forBaseName, exact: isRead && isSure };
  const last = steps.findLastIndex((step) => step >= ANY_CHARACTER);
  // The slash after a fork belongs to the two steps that can be left out.
  const suffix = steps.slice(steps[last - 1] === FORK ? last + 2 : last + 1);
  const texts = textsBetweenStars(steps.slice(first + 1, last));
  // A star does not match a slash. In a path, it is therefore not enough to search each text after the previous text.
  const hasOnlyStars = steps[first] === STAR && steps[last] === STAR && texts !== undefined;
  return {
    prefix: textOf(steps.slice(0, first)),
    suffix: textOf(suffix),
    rest: hasOnlyStars && (forBaseName || texts.length === 0) ? texts : { steps: steps.slice(first), sets },
    forBaseName,
    exact: isRead && isSure,
  };
}

/** Returns the texts between the stars, or undefined if there are other steps. */
function textsBetweenStars(steps: readonly number[]): string[] | undefined {
  const texts: string[] = [];
  let start = 0;
  for (const [index, step] of [...steps, STAR].entries()) {
    if (step < ANY_CHARACTER) continue;
    if (step !== STAR) return undefined;
    if (index > start) texts.push(textOf(steps.slice(start, index)));
    start = index + 1;
  }
  return texts;
}

function textOf(literals: readonly number[]): string {
  return String.fromCharCode(...literals);
}

/**
 * Reads the steps of a pattern up to the first part that is not supported. `end` is the place of this part, or the end
 * of the pattern. The alternatives are in the order in which git's wildmatch tests them.
 */
function readSteps(
  pattern: string,
  forBaseName: boolean,
): { readonly steps: number[]; readonly sets: Uint8Array[]; readonly end: number } {
  const steps: number[] = [];
  const sets: Uint8Array[] = [];
  let at = 0;
  while (at < pattern.length) {
    const char = pattern.charAt(at);
    if (char === '*') {
      let end = at;
      while (pattern.charAt(end) === '*') end++;
      const hasTwo = end - at > 1;
      const isElement = (at === 0 || pattern.charAt(at - 1) === '/') && ['/', ''].includes(pattern.charAt(end));
      if (hasTwo && !isElement && !forBaseName) break;
      if (!hasTwo || !isElement) steps.push(STAR);
      else if (end === pattern.length) steps.push(EVERYTHING);
      else steps.push(FORK, EVERYTHING, SLASH);
      at = hasTwo && isElement ? end + 1 : end;
    } else if (char === '?') {
      steps.push(ANY_CHARACTER);
      at++;
    } else if (char === '[') {
      const set = readSet(pattern, at + 1);
      if (!set) break;
      steps.push(FIRST_SET + sets.length);
      sets.push(set.accepted);
      at = set.end;
    } else {
      const literal = char === '\\' ? at + 1 : at;
      if (literal === pattern.length) break;
      steps.push(pattern.charCodeAt(literal));
      at = literal + 1;
    }
  }
  return { steps, sets, end: Math.min(at, pattern.length) };
}

/**
 * Reads a set of characters after its opening bracket. Returns undefined for a set that has not the same meaning in
 * every version of git.
 */
function readSet(pattern: string, start: number): { readonly accepted: Uint8Array; readonly end: number } | undefined {
  const isNegated = ['!', '^'].includes(pattern.charAt(start));
  const first = isNegated ? start + 1 : start;
  const accepted = new Uint8Array(256).fill(isNegated ? 1 : 0);
  for (let at = first; SET_CHARACTER.test(pattern.charAt(at)); at++) {
    const isRange = pattern.charAt(at + 1) === '-' && SET_CHARACTER.test(pattern.charAt(at + 2));
    const low = pattern.charCodeAt(at);
    if (isRange) at += 2;
    const high = pattern.charCodeAt(at);
    if (low > high) return undefined;
    accepted.fill(isNegated ? 0 : 1, low, high + 1);
    if (pattern.charAt(at + 1) !== ']') continue;
    accepted[SLASH] = 0;
    return { accepted, end: at + 2 };
  }
  return undefined;
}

const SLASH = 0x2f;
const SET_CHARACTER = /^[-\w.,+=@~ ]$/;

/** Limits the work of matching. The work is counted in steps of about ten nanoseconds. */
export class WorkBudget {
  #left: number;

  constructor(steps: number) {
    this.#left = steps;
  }

  spend(steps: number): void {
    this.#left -= steps;
  }

  get isSpent(): boolean {
    return this.#left < 0;
  }
}

/** The number of steps after which the work may be interrupted. */
const PAUSE_STEPS = 10_000;

/**
 * Whether a pattern matches a name, if this can be decided without its steps; otherwise undefined. `name` is the last
 * element of a path if the pattern is `forBaseName`, and otherwise the whole path.
 */
export function matchesSimply({ prefix, suffix, rest }: Pattern, name: string): boolean | undefined {
  if (!name.startsWith(prefix) || !name.endsWith(suffix)) return false;
  if (rest === 'nothing') return name.length === prefix.length;
  const end = name.length - suffix.length;
  if (end < prefix.length) return false;
  if (!isList(rest)) return undefined;
  const slash = name.indexOf('/', prefix.length);
  if (slash >= 0 && slash < end) return false;
  let at = prefix.length;
  for (const text of rest) {
    const found = name.indexOf(text, at);
    if (found < 0) return false;
    at = found + text.length;
  }
  return at <= end;
}

function isList(rest: readonly string[] | Steps): rest is readonly string[] {
  return Array.isArray(rest);
}

/**
 * Whether a pattern matches a name for which `matchesSimply` returns undefined. The result means nothing once the
 * budget is spent. All possible places in the pattern are tracked at once. The work is therefore at most proportional
 * to the length of the pattern times the length of the name.
 */
export function* matchesStepwise(
  { prefix, rest }: Pattern,
  name: string,
  budget: WorkBudget,
): Generator<undefined, boolean> {
  const { steps, sets } = rest === 'nothing' || isList(rest) ? NO_STEPS : rest;
  budget.spend(START_STEPS + steps.length);
  let places = new Places(steps);
  let next = new Places(steps);
  let pauseAfter = PAUSE_STEPS;
  places.add(0);
  for (let index = prefix.length; index < name.length && places.size > 0; index++) {
    budget.spend(places.size);
    pauseAfter -= places.size;
    if (pauseAfter < 0) {
      if (budget.isSpent) return false;
      pauseAfter = PAUSE_STEPS;
      yield;
    }
    const code = name.charCodeAt(index);
    for (let each = 0; each < places.size; each++) {
      const place = places.at(each);
      const step = steps[place] ?? FORK;
      if (step === EVERYTHING || (step === STAR && code !== SLASH)) next.add(place);
      else if (step === code || (step === ANY_CHARACTER && code !== SLASH) || sets[step - FIRST_SET]?.[code] === 1)
        next.add(place + 1);
    }
    [places, next] = [next, places];
    next.clear();
  }
  return places.has(steps.length);
}

/** The steps that it takes to begin to match stepwise. */
const START_STEPS = 50;
const NO_STEPS: Steps = { steps: [], sets: [] };

/** A set of places in a pattern. It includes the places that can be reached without consuming a character. */
class Places {
  readonly #steps: readonly number[];
  readonly #places: Uint16Array;
  /** The round in which each place was added. The set contains the places that were added in this round. */
  readonly #rounds: Uint32Array;
  #round = 1;
  size = 0;

  constructor(steps: readonly number[]) {
    this.#steps = steps;
    this.#places = new Uint16Array(steps.length + 1);
    this.#rounds = new Uint32Array(steps.length + 1);
  }

  at(index: number): number {
    return this.#places[index] ?? 0;
  }

  has(place: number): boolean {
    return this.#rounds[place] === this.#round;
  }

  add(place: number): void {
    let each = this.size;
    this.#addOne(place);
    // The loop also visits the places that it adds.
    for (; each < this.size; each++) {
      const reached = this.at(each);
      const step = this.#steps[reached];
      if (step === STAR || step === EVERYTHING || step === FORK) this.#addOne(reached + 1);
      if (step === FORK) this.#addOne(reached + 3);
    }
  }

  clear(): void {
    this.size = 0;
    this.#round++;
  }

  #addOne(place: number): void {
    if (this.has(place)) return;
    this.#rounds[place] = this.#round;
    this.#places[this.size++] = place;
  }
}
