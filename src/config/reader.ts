import { readFileSync } from 'node:fs';
import { messageOf } from '../errors.ts';
import { settings, type SettingName } from './settings.ts';

/**
 * Settings are missing or wrong. `faults` contains one line for each fault. Each line begins with the name of the
 * variable.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

/**
 * Reads settings from environment variables and collects the faults. The errors of the parsers must not contain
 * secrets.
 */
export class SettingsReader {
  /** The environment variables. */
  readonly env: NodeJS.ProcessEnv;
  readonly #faults: string[] = [];
  readonly #faulty = new Set<string>();

  constructor(env: NodeJS.ProcessEnv) {
    this.env = env;
  }

  /** Records a fault of a variable. `problem` is a phrase that follows its name. */
  fault(name: string, problem: string): void {
    this.#faults.push(`${name} ${problem}`);
    this.#faulty.add(name);
  }

  /** Whether one of these settings or its NAME_FILE has a fault. Without names, whether any setting has a fault. */
  hasFault(...names: readonly SettingName[]): boolean {
    if (names.length === 0) return this.#faults.length > 0;
    return names.some((name) => this.#faulty.has(name) || this.#faulty.has(`${name}_FILE`));
  }

  /**
   * Returns the value. If the value is missing or wrong, records a fault and returns undefined. `parse` throws an Error
   * that says what is wrong with the value.
   */
  required<T>(name: SettingName, parse: (value: string) => T): T | undefined {
    const value = this.optional(name, parse);
    if (value === undefined && !this.hasFault(name)) this.fault(name, `is missing: ${settings[name].expects}`);
    return value;
  }

  /** Returns the value, or undefined if it is missing. If the value is wrong, records a fault and returns undefined. */
  optional<T>(name: SettingName, parse: (value: string) => T): T | undefined {
    const value = this.#text(name);
    if (value === undefined) return undefined;
    try {
      return parse(value);
    } catch (error) {
      this.fault(name, messageOf(error));
      return undefined;
    }
  }

  /** Whether the variable NAME or NAME_FILE is set and not empty. */
  isSet(name: string): boolean {
    return Boolean(this.env[name]) || Boolean(this.env[`${name}_FILE`]);
  }

  /** Throws ConfigError if there are faults. */
  throwFaults(): void {
    if (this.#faults.length > 0) throw new ConfigError(this.#faults);
  }

  /** The value of a variable. The go command reads the variables of forward proxies in lower case too. */
  #variable(name: SettingName): string | undefined {
    const lowerCase = name.endsWith('_PROXY') ? this.env[name.toLowerCase()] : undefined;
    return this.env[name] || lowerCase || undefined;
  }

  /**
   * The value of NAME, or the content of the file that NAME_FILE names without its final line break. An empty value
   * counts as missing.
   */
  #text(name: SettingName): string | undefined {
    const file = this.env[`${name}_FILE`];
    const value = this.#variable(name);
    if (!settings[name].secret || file === undefined || file === '') return value;
    if (value !== undefined) this.fault(name, `and ${name}_FILE are both set: remove one of them`);
    try {
      return readFileSync(file, 'utf8').replace(/\r?\n$/, '') || undefined;
    } catch (error) {
      this.fault(`${name}_FILE`, `names a file that cannot be read: ${messageOf(error)}`);
      return undefined;
    }
  }
}
