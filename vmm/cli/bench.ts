import { createRequire } from 'node:module';
import { VmmError } from '../api/errors.ts';
import { parseArgs } from './args.ts';
import { HELP } from './common-options.ts';
import { helpText } from './help.ts';
import { type Command, flag, group, list, type Read, value } from './options.ts';
import { print } from './output.ts';
import { STATUS_READER_GONE } from './status.ts';

function wholeNumber(most: number): Read<number> {
  return (text, option) => {
    const number = /^\d{1,6}$/.test(text) ? Number(text) : 0;
    if (number < 1 || number > most) throw new VmmError('USAGE', `${option} ${text}: not a whole number from 1 to ${most}`, { hint: 'see `vmm bench --help`' });
    return number;
  };
}

const OPTIONS = {
  ...group('What is measured', {
    quick: flag('5 rounds, without the scenarios that take long'),
    rounds: value('N', 'rounds, 1 … 1000 (default 31)', wholeNumber(1000)),
    scenario: list('NAME', 'only this one; may be given again'),
    peer: list('NAME', 'only this one; may be given again'),
    against: value('REV', 'another revision of this checkout, in turns with it; only those two, but for --peer'),
    present: value('N', 'how many idle while others start (default 50; quick: 8)', wholeNumber(1000)),
    list: flag('print the scenarios and peers there are'),
  }),
  ...group('Reports', {
    out: value('DIR', 'where the log and the report go (default vmm-bench-TIME, here)'),
    report: value('LOG', 'make the report of a log again'),
    compare: flag('say what differs between two reports, beyond the noise'),
    schema: flag('print the JSON schema of report.json'),
  }),
  help: HELP,
};

export const BENCH: Command<typeof OPTIONS> = {
  name: 'bench',
  synopsis: '[OPTIONS] | --compare A.json B.json',
  about: 'Measures starts: of this VMM, and in turns with it of what is installed of QEMU, runc, crun, podman and others. Writes a report as HTML, Markdown and JSON.',
  options: OPTIONS,
  examples: [
    ['vmm bench --quick', 'some minutes'],
    ['vmm bench --against HEAD~20 --scenario start', 'what twenty commits brought'],
    ['vmm bench --scenario boot --peer "vmm wasm" --peer "qemu microvm tcg"', 'one comparison, 31 pairs'],
  ],
  notes: [
    'Each sample is in DIR/log.jsonl when it is taken: after Ctrl-C, a kill or a full disk what was measured is there, and --report makes the\nreport of it.',
    'A peer that is missing, fails, hangs or says something else is told, and does not stop the rest.',
  ],
};

/** dist/bench.cjs: a program of its own, which nothing else loads. */
interface Suite {
  bench(options: Readonly<Record<string, unknown>>): Promise<number>;
}

/** `vmm bench`. */
export async function benchCommand(argv: readonly string[]): Promise<number> {
  const { options, operands } = parseArgs(argv, BENCH);
  if (options.help) {
    print(helpText(BENCH));
    return 0;
  }
  if (operands.length > 0 && !options.compare) throw new VmmError('USAGE', `bench takes no argument ${operands[0]}`, { hint: 'see `vmm bench --help`' });
  // As any other of a pipeline.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(STATUS_READER_GONE);
    throw error;
  });
  const suite = createRequire(import.meta.url)('./bench.cjs') as Suite;
  const { compare, scenario, peer, help: _, ...rest } = options;
  try {
    return await suite.bench({ ...rest, scenarios: scenario, peers: peer, ...(compare ? { compare: operands } : {}) });
  } catch (error) {
    // Of a bundle of its own, whose classes are not these.
    if ((error as Error).name === 'Refused') throw new VmmError('USAGE', (error as Error).message, { hint: 'see `vmm bench --help`' });
    throw error;
  }
}
