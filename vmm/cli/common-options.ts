/** Options that several commands have, each with one row and one meaning. */
import { VmmError } from '../../base/errors.ts';
import type { AccelName } from '../machine/config.ts';
import type { CpuModel } from '../accel/vcpu.ts';
import type { OptionSpec, ParsedArgs } from './args.ts';

export const HELP: OptionSpec = { name: 'help', short: 'h', kind: 'flag', help: 'print this text' };
export const TIMEOUT: OptionSpec = { name: 'timeout', kind: 'value', value: 'TIME', help: 'end the run after this time (status 124)' };

/** What runs the guest. */
export const ACCEL_OPTIONS: readonly OptionSpec[] = [
  { name: 'accel', kind: 'value', value: 'auto|kvm|wasm', help: 'what runs the guest’s code (default auto)' },
  { name: 'cpu', kind: 'value', value: 'host|baseline|x86-64-v2', help: 'CPU model' },
];

export const GDB_OPTIONS: readonly OptionSpec[] = [
  { name: 'gdb', kind: 'value', value: 'ADDRESS', help: 'let gdb connect: unix:PATH or 127.0.0.1:PORT' },
  { name: 'wait', kind: 'flag', help: 'with --gdb: hold the guest before its first instruction' },
];

/** What is told about a run. */
export const REPORT_OPTIONS: readonly OptionSpec[] = [
  { name: 'timeline', kind: 'flag', help: 'print each phase with its clock points to stderr; with --icount, counts and trace hash' },
  { name: 'quiet', short: 'q', kind: 'flag', help: 'no notes on stderr' },
];

/** One of a fixed list of words. */
export function choice<const T extends string>(args: ParsedArgs, name: string, words: readonly T[], fallback: NoInfer<T>): T {
  const text = args.values.get(name);
  if (text === undefined) return fallback;
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new VmmError('USAGE', `--${name}: ${text} is not one of ${words.join(', ')}`, { hint: `for example --${name} ${words[0]}` });
  return word;
}

export function accelOptions(args: ParsedArgs): { accel: AccelName; cpuModel: CpuModel | undefined } {
  return {
    accel: choice(args, 'accel', ['auto', 'kvm', 'wasm'], 'auto'),
    cpuModel: args.values.has('cpu') ? choice(args, 'cpu', ['host', 'baseline', 'x86-64-v2'], 'host') : undefined,
  };
}
