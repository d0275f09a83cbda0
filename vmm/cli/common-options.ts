/** Options that several commands have, each with one row and one meaning. */
import { flag, group, oneOf, value } from './options.ts';
import { parseDuration } from './sizes.ts';

export const HELP = flag('print this text', { short: 'h' });
export const TIMEOUT = value('TIME', 'end the run after this time (status 124)', parseDuration);

/** What runs the guest. */
export const ACCEL_OPTIONS = {
  accel: value('auto|kvm|wasm', 'what runs the guest’s code (default auto)', oneOf('auto', 'kvm', 'wasm')),
  cpu: value('host|baseline|x86-64-v2', 'CPU model', oneOf('host', 'baseline', 'x86-64-v2')),
  jit: value('on|off|check', 'software CPU: translate hot code (default on); check: hold it against the interpreter', oneOf('on', 'off', 'check')),
};

export const GDB_OPTIONS = group('Debugging', {
  gdb: value('ADDRESS', 'let gdb connect: unix:PATH or 127.0.0.1:PORT'),
  wait: flag('with --gdb: hold the guest before its first instruction'),
});

/** What is told about a run. */
export const REPORT_OPTIONS = group('What is told', {
  timeline: flag('print each phase with its clock points to stderr; with --icount, counts and trace hash'),
  quiet: flag('no notes on stderr', { short: 'q' }),
  verbose: flag('all notes on stderr, such as what runs the guest’s code'),
});

/** The translator's settings. `VMM_JIT_THRESHOLD` is for tests: samples that make a block hot. */
export function jitOf(mode: 'on' | 'off' | 'check' | undefined): { mode: 'on' | 'off' | 'check'; threshold: number | undefined; asked: boolean } {
  const threshold = process.env['VMM_JIT_THRESHOLD'];
  return { mode: mode ?? 'on', threshold: threshold === undefined ? undefined : Number(threshold), asked: mode !== undefined };
}
