/** Builds long texts for hostile files. */

/** Returns the numbers from 0 to `count - 1`. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** Returns `count` words with spaces between them. */
export function words(count: number, word: (index: number) => string): string {
  return numbers(count).map(word).join(' ');
}

/** Returns `count` lines, without a line feed at the end. */
export function lines(count: number, line: (index: number) => string): string {
  return numbers(count).map(line).join('\n');
}
