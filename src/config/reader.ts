import { readFileSync } from 'node:fs';
import { messageOf } from '../errors.ts';
import { settings, type SettingName } from './settings.ts';

/** Reads variables, collecting faults. A value is never part of a fault: it may be a secret. */
export class SettingsReader {
  readonly #env: NodeJS.ProcessEnv;
  /** What is wrong so far, a line each. */
  readonly faults: string[] = [];

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** Notes what is wrong with a variable. */
  fault(name: string, problem: string): void {
    this.faults.push(`${name} ${problem}`);
  }

  /** Whether something is wrong with a variable whose name matches. */
  failed(name: RegExp): boolean {
    return this.faults.some((fault) => name.test(fault));
  }

  /** The value; undefined, with a fault, if it is missing or wrong. `parse` throws what is wrong with it. */
  required<T>(name: SettingName, parse: (value: string) => T): T | undefined {
    const value = this.optional(name, parse);
    if (value === undefined && !this.failed(new RegExp(`^${name}(_FILE)? `))) {
      this.fault(name, `is missing: ${settings[name].expects}`);
    }
    return value;
  }

  /** The value; undefined if it is missing, or with a fault if it is wrong. */
  optional<T>(name: SettingName, parse: (value: string) => T): T | undefined {
    const value = this.#raw(name);
    if (value === undefined) return undefined;
    try {
      return parse(value);
    } catch (error) {
      this.fault(name, messageOf(error));
      return undefined;
    }
  }

  /** Whether it has a value. */
  has(name: SettingName): boolean {
    return this.#raw(name) !== undefined;
  }

  /** Throws ConfigError if anything was wrong. */
  throwFaults(): void {
    if (this.faults.length > 0) throw new ConfigError(this.faults);
  }

  /** The value of NAME, or the content of the file that NAME_FILE names. Empty is the same as absent. */
  #raw(name: SettingName): string | undefined {
    const file = this.#env[`${name}_FILE`];
    const value = this.#env[name];
    if (!settings[name].secret || file === undefined || file === '') return value === '' ? undefined : value;
    if (value !== undefined && value !== '') this.fault(name, `and ${name}_FILE are both set: keep one`);
    try {
      return readFileSync(file, 'utf8').trim() || undefined;
    } catch (error) {
      this.fault(`${name}_FILE`, `names a file that cannot be read: ${messageOf(error)}`);
      return undefined;
    }
  }
}

/** Every fault of the settings, each a line that names its variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}
