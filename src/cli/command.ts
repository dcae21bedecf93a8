import { parseArgs } from 'node:util';
import { ConfigError } from '../config/reader.ts';
import { messageOf } from '../errors.ts';

/**
 * The arguments are wrong, or name something that does not exist. The command prints one line for each fault and exits
 * with status 2.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

/** The options of a command: `--name VALUE` for a string, `--name` for a boolean. `defineCommand` adds `--help`. */
type OptionTypes = Readonly<Record<string, 'string' | 'boolean'>>;

/** The parsed arguments: the values of the options, and the other arguments in their order. */
export interface Arguments<Types extends OptionTypes> {
  readonly values: { readonly [Name in keyof Types]?: Types[Name] extends 'string' ? string : boolean };
  readonly positionals: readonly string[];
}

/** A subcommand of `modpress`, such as `serve`. */
export interface Command<Types extends OptionTypes, Options> {
  readonly name: string;
  /**
   * The text of `--help`. `defineCommand` prints it without a call of `parse` or `run`. Both import their modules only
   * when they are called, so that the help appears immediately.
   */
  readonly help: string;
  readonly options: Types;
  /** Parses the arguments. Any error that it throws is treated as a usage error. */
  readonly parse: (args: Arguments<Types>) => Options | Promise<Options>;
  /**
   * Runs the command and resolves to the exit status. Rejects with UsageError or ConfigError for status 2, and with any
   * other error for status 1.
   */
  readonly run: (options: Options) => Promise<number>;
}

/**
 * Returns a function that runs a command. The function takes the arguments after the name of the command, and resolves
 * to the exit status. It prints errors and does not reject.
 */
export function defineCommand<const Types extends OptionTypes, Options>(
  command: Command<Types, Options>,
): (args: readonly string[]) => Promise<number> {
  return async (args) => {
    try {
      const { help, ...parsed } = readArguments(command.options, args);
      if (help) {
        process.stdout.write(command.help);
        return 0;
      }
      return await command.run(await parse(command, parsed));
    } catch (error) {
      if (isUsageError(error)) return printFaults(command.name, error.faults);
      printError(messageOf(error));
      return 1;
    }
  };
}

/** Whether an error means wrong arguments or settings, and therefore status 2. */
export function isUsageError(error: unknown): error is UsageError | ConfigError {
  return error instanceof UsageError || error instanceof ConfigError;
}

/** Writes one line to standard error: an error, or a note for the user. */
export function printError(text: string): void {
  process.stderr.write(`modpress: ${text.replaceAll(/\s+/g, ' ')}\n`);
}

/** Writes an object as one line of JSON to standard output. */
export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function readArguments<Types extends OptionTypes>(
  types: Types,
  args: readonly string[],
): Arguments<Types> & { readonly help: boolean } {
  const options = Object.fromEntries(
    Object.entries({ ...types, help: 'boolean' as const }).map(([name, type]) => [name, { type }]),
  );
  try {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
    return { values: values as Arguments<Types>['values'], positionals, help: values['help'] === true };
  } catch (error) {
    throw new UsageError([messageOf(error)]);
  }
}

async function parse<Types extends OptionTypes, Options>(
  command: Command<Types, Options>,
  args: Arguments<Types>,
): Promise<Options> {
  try {
    return await command.parse(args);
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError([messageOf(error)]);
  }
}

function printFaults(command: string, faults: readonly string[]): number {
  for (const fault of faults) printError(fault);
  printError(`see modpress ${command} --help`);
  return 2;
}
