import { createCipheriv } from 'node:crypto';

/**
 * The size of the text from which files are cut, in bytes. Text that repeats after more than deflate's window of 32 KB
 * does not compress better.
 */
const POOL_BYTES = 4 * 2 ** 20;
const WORDS = 3000;
const SYLLABLES = [
  'con',
  'text',
  'er',
  'ror',
  'hand',
  'le',
  'read',
  'write',
  'buf',
  'fer',
  'node',
  'in',
  'dex',
  'val',
  'ue',
  'ser',
  'vice',
  'tab',
  'map',
  'key',
];
const SHAPES = [
  '\tif err := %s(%s); err != nil {\n\t\treturn %s\n\t}\n',
  '\t%s := %s.%s(%s)\n',
  'func (%s *%s) %s() error {\n',
  '\treturn %s, nil\n}\n\n',
  '// %s %s the %s of %s.\n',
  '\tfor _, %s := range %s {\n',
  '\tcase "%s":\n\t\t%s = %d\n',
  '\t%s %s `json:"%s"`\n',
  '\t}\n',
];

/** Generates file contents for repositories. The contents are the same on every machine. */
export class Content {
  readonly #random: () => number;
  readonly #pool: Buffer;
  readonly #noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'modpress'), Buffer.alloc(16));

  constructor() {
    this.#random = generator(20_240_101);
    this.#pool = this.#makePool();
  }

  /** Returns an integer from `least` to `limit - 1`. */
  number(least: number, limit: number): number {
    return least + Math.floor(this.#random() * (limit - least));
  }

  /** Returns text that compresses about as well as Go source code. The maximum size is 4 MB. */
  text(bytes: number): Buffer {
    const start = this.number(0, this.#pool.length - bytes);
    return this.#pool.subarray(start, start + bytes);
  }

  /** Returns bytes that do not compress, as in images and archives. */
  noise(bytes: number): Buffer {
    return this.#noise.update(Buffer.alloc(bytes));
  }

  #makePool(): Buffer {
    const words = Array.from({ length: WORDS }, () =>
      Array.from({ length: this.number(1, 4) }, () => this.#pick(SYLLABLES)).join(''),
    );
    // A few words are frequent, and most are rare, as in any language.
    const word = (): string => words[Math.floor(WORDS * this.#random() ** 4)] ?? '';
    const lines: string[] = [];
    for (let bytes = 0; bytes < POOL_BYTES;) {
      const line = this.#pick(SHAPES).replace(/%[sd]/g, (place) =>
        place === '%s' ? word() : String(this.number(0, 10_000)),
      );
      bytes += line.length;
      lines.push(line);
    }
    return Buffer.from(lines.join(''));
  }

  #pick(choices: readonly string[]): string {
    return choices[this.number(0, choices.length)] ?? '';
  }
}

/** Generates numbers from 0 to below 1 (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
