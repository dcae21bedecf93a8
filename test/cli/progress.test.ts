import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { showProgress } from '../../src/cli/progress.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  const timers = vi.getTimerCount();
  vi.useRealTimers();
  if (timers > 0) throw new Error('a timer of the progress bar would keep the command from ending');
});

test('the progress bar shows the number, the speed and the remaining time on a terminal', () => {
  const screen = new Screen(true);
  const progress = showProgress(screen, { unit: 'versions' });
  progress.update(0, 40);
  vi.advanceTimersByTime(2_000);
  progress.update(10, 40);
  vi.advanceTimersByTime(1_000);
  expect(screen.line()).toMatch(/^=+-+ 10 of 40 versions, 5.0\/s, 6 s left$/);
  const [bar = ''] = /^[=-]+/.exec(screen.line()) ?? [];
  expect(bar.lastIndexOf('=') + 1).toBe(bar.length / 4);
  progress.stop();
  expect(screen.line()).toBe('');
});

test('the progress bar shows the beginning of the short form on a narrow terminal', () => {
  const screen = new Screen(true, 80);
  const progress = showProgress(screen, { unit: 'tags' });
  vi.advanceTimersByTime(2_000);
  progress.update(1075, 2120, {
    detail: 'in far too many words for a terminal',
    short: '0 fail, 0 ref, 1059 pub, 16 skip, 10/30 projects',
    fraction: 0.5,
  });
  vi.advanceTimersByTime(1_000);
  expect(screen.line()).toBe('===--- 1075/2120 tags, 538/s, 2 s left, 0 fail, 0 ref, 1059 pub, 16 skip, 10/');
  screen.columns = 120;
  vi.advanceTimersByTime(1_000);
  progress.update(1075, 2120, { detail: 'in a few words', short: 'in fewer', fraction: 0.5 });
  expect(screen.line()).toMatch(/^[=-]{6} 1075 of 2120 tags, in a few words, /);
  progress.stop();
});

test('the progress bar shows the short form on a wide terminal if the long form does not fit', () => {
  const screen = new Screen(true, 120);
  const progress = showProgress(screen, { unit: 'tags' });
  progress.update(1, 2, { detail: 'x'.repeat(80), short: 'in fewer words', seconds: 10, fraction: 0.5 });
  vi.advanceTimersByTime(1_000);
  expect(screen.line()).toMatch(/^[=-]{24} 1\/2 tags, 0\.1\/s, 10 s left, in fewer words$/);
  progress.stop();
});

test('the progress bar computes the speed from the given duration, not from the time since its start', () => {
  const screen = new Screen(false);
  const progress = showProgress(screen, { unit: 'tags' });
  progress.update(6_000, 12_000, { seconds: 600, fraction: 0.5 });
  vi.advanceTimersByTime(5_000);
  expect(screen.text).toBe('6000 of 12000 tags, 10/s, 10 min 0 s left\n');
  progress.stop();
});

test('the progress bar stays below the printed lines on a terminal, and both stay intact', () => {
  const screen = new Screen(true);
  const progress = showProgress(screen, { unit: 'versions' });
  progress.update(3, 40);
  progress.print(() => screen.write('DIFFERENT something\n'));
  expect(screen.lines().slice(0, -1)).toEqual(['DIFFERENT something']);
  expect(screen.line()).toMatch(/3 of 40 versions/);
  progress.stop();
  progress.print(() => screen.write('the end\n'));
  expect(screen.lines()).toEqual(['DIFFERENT something', 'the end', '']);
});

test('the progress bar shows the reason for a wait until the next progress', () => {
  const screen = new Screen(true);
  const progress = showProgress(screen, { unit: 'versions' });
  progress.update(1, 2);
  progress.wait('GitLab allows 5 archives a minute for a project', 59_001);
  vi.advanceTimersByTime(1_000);
  expect(screen.line()).toContain('waiting 60 s: GitLab allows 5 archives');
  progress.update(2, 2);
  vi.advanceTimersByTime(1_000);
  expect(screen.line()).not.toContain('waiting');
  progress.stop();
});

test('the progress bar stays shorter than the terminal, with room for ^C', () => {
  const screen = new Screen(true, 40);
  const progress = showProgress(screen, { unit: 'versions' });
  progress.wait('a very long reason that would go on over the edge of the terminal', 1_000);
  vi.advanceTimersByTime(1_000);
  expect(screen.line()).toHaveLength(37);
  progress.stop();
});

test('the progress without a terminal is a plain line every five seconds, and at once for a wait', () => {
  const screen = new Screen(false);
  const progress = showProgress(screen, { unit: 'versions' });
  progress.update(1, 400);
  vi.advanceTimersByTime(4_999);
  expect(screen.text).toBe('');
  progress.update(10, 4_000_000);
  vi.advanceTimersByTime(1);
  expect(screen.text).toBe('10 of 4000000 versions, 2.0/s, 555 h 33 min left\n');
  progress.print(() => screen.write('DIFFERENT something\n'));
  progress.wait('GitLab does not answer', 5_000);
  progress.wait('GitLab does not answer', 5_000);
  progress.stop();
  vi.advanceTimersByTime(60_000);
  expect(screen.text.split('\n').slice(1)).toEqual([
    'DIFFERENT something',
    expect.stringMatching(/left, waiting 5 s: GitLab does not answer$/),
    '',
  ]);
});

const ESCAPE = '\u001B';
/** Matches a terminal code, the end of a line, or text. */
const TOKEN = new RegExp(`${ESCAPE}\\[\\??\\d*[A-Za-z]|${ESCAPE}[78]|\n|[^\n${ESCAPE}]+`, 'g');

/** A stream that records its text, and renders it as a terminal does. */
class Screen extends PassThrough {
  readonly isTTY: boolean;
  columns: number;
  text = '';

  constructor(isTTY: boolean, columns = 120) {
    super();
    this.isTTY = isTTY;
    this.columns = columns;
    this.on('data', (chunk: Buffer) => (this.text += chunk.toString()));
  }

  /** Returns the lines on the screen. Throws on a terminal code that the progress bar does not use. */
  lines(): string[] {
    const lines = [''];
    let column = 0;
    let saved = { row: 0, column: 0 };
    let row = 0;
    for (const [token] of this.text.matchAll(TOKEN)) {
      const line = lines[row] ?? '';
      if (token === '\n') {
        row += 1;
        column = 0;
        lines[row] ??= '';
      } else if (token === `${ESCAPE}7`) saved = { row, column };
      else if (token === `${ESCAPE}8`) ({ row, column } = saved);
      else if (token === `${ESCAPE}[1G`) column = 0;
      else if (token === `${ESCAPE}[0K`) lines[row] = line.slice(0, column);
      else if (token === `${ESCAPE}[2K`) lines[row] = '';
      else if (token.startsWith(ESCAPE)) throw new Error(`unknown code ${JSON.stringify(token)}`);
      else {
        lines[row] = line.slice(0, column) + token + line.slice(column + token.length);
        column += token.length;
      }
    }
    return lines;
  }

  /** Returns the last line on the screen. */
  line(): string {
    return this.lines().at(-1) ?? '';
  }
}
