import { VmmError } from '../api/errors.ts';
import { parseArgs } from './args.ts';
import { helpText } from './help.ts';
import type { Command, OptionTable, OptionValues } from './options.ts';
import { print } from './output.ts';

/** One command of a group, with its table and what it does. */
export interface Subcommand {
  readonly command: Command;
  /** Gives the exit status. */
  start(argv: readonly string[]): Promise<number>;
}

/** `takes`: least and most arguments, and what they are. Every table has `help`. */
export function subcommand<T extends OptionTable>(
  command: Command<T>,
  takes: readonly [least: number, most: number, what: string],
  run: (operands: readonly string[], options: OptionValues<T>) => number | Promise<number>,
): Subcommand {
  return {
    command,
    start: async (argv) => {
      const { options, operands } = parseArgs(argv, command);
      if ((options as { help?: boolean }).help === true) {
        print(helpText(command));
        return 0;
      }
      const [least, most, what] = takes;
      if (operands.length < least || operands.length > most) throw new VmmError('USAGE', `${command.name} takes ${what}`, { hint: `see \`vmm ${command.name} --help\`` });
      return run(operands, options);
    },
  };
}
