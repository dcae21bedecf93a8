/**
 * Returns the places in a source at which a passage occurs. The search ignores white space, line breaks, and the
 * trailing comma that a formatter adds to the last of several lines, so that it also works after reformatting. It does
 * not ignore white space within a word or between two words.
 */
export function findPassage(source: string, passage: string): { readonly start: number; readonly end: number }[] {
  return Array.from(source.matchAll(patternOf(passage)), ({ index, 0: text }) => ({
    start: index,
    end: index + text.length,
  }));
}

/** Replaces the passage, which must occur exactly once. Returns undefined if it does not. */
export function replacePassage(source: string, passage: string, replacement: string): string | undefined {
  const [place, ...others] = findPassage(source, passage);
  if (place === undefined || others.length > 0) return undefined;
  return source.slice(0, place.start) + replacement + source.slice(place.end);
}

/** Matches a string (which a formatter does not change), a word, or a single character. */
const TOKEN = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[\w$]+|[^\s\w$]/gu;

const IS_WORD = /^[\w$]/u;

function patternOf(passage: string): RegExp {
  const tokens = passage.match(TOKEN);
  if (tokens === null) throw new Error('an empty passage occurs everywhere');
  const parts = tokens.map((token, index) => {
    const before = tokens[index - 1];
    const text = token.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
    if (before === undefined) return text;
    if (IS_WORD.test(before) && IS_WORD.test(token)) return `\\s+${text}`;
    return /^[)\]}]$/.test(token) && !/^[,([{]$/.test(before) ? `\\s*(?:,\\s*)?${text}` : `\\s*${text}`;
  });
  return new RegExp(parts.join(''), 'gu');
}
