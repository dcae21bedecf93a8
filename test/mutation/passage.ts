/**
 * The places in a source where a passage occurs. White space and line breaks do not count, and neither does the comma that
 * a formatter puts behind the last of several lines: the passage stays found when the source is laid out anew. Within a
 * word, and between two words, white space does count.
 */
export function findPassage(source: string, passage: string): { readonly start: number; readonly end: number }[] {
  return Array.from(source.matchAll(patternOf(passage)), ({ index, 0: text }) => ({
    start: index,
    end: index + text.length,
  }));
}

/** Replaces the passage, which has to occur exactly once. Returns undefined if it does not. */
export function replacePassage(source: string, passage: string, replacement: string): string | undefined {
  const [place, ...others] = findPassage(source, passage);
  if (place === undefined || others.length > 0) return undefined;
  return source.slice(0, place.start) + replacement + source.slice(place.end);
}

/** Strings stay whole, since a formatter changes nothing in them; all else is words and single signs. */
const TOKEN = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[\w$]+|[^\s\w$]/gu;

const IS_WORD = /^[\w$]/u;

function patternOf(passage: string): RegExp {
  const tokens = passage.match(TOKEN);
  if (tokens === null) throw new Error('a passage without any text is everywhere');
  const parts = tokens.map((token, index) => {
    const before = tokens[index - 1];
    const text = token.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
    if (before === undefined) return text;
    if (IS_WORD.test(before) && IS_WORD.test(token)) return `\\s+${text}`;
    return /^[)\]}]$/.test(token) && !/^[,([{]$/.test(before) ? `\\s*(?:,\\s*)?${text}` : `\\s*${text}`;
  });
  return new RegExp(parts.join(''), 'gu');
}
