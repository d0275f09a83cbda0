import { readSymbols, type SymbolNames } from '../boot/symbols.ts';
import { VmmError } from '../../base/errors.ts';
import type { DiskSpec } from '../devices/disk.ts';
import type { MachineConfig } from '../machine/config.ts';
import { openTrace, traceMask } from '../core/trace.ts';
import type { OptionSpec, ParsedArgs } from './args.ts';
import { ACCEL_OPTIONS, GDB_OPTIONS, HELP, REPORT_OPTIONS, TIMEOUT, accelOptions, choice } from './common-options.ts';
import { COUNTED_OPTIONS, STOP_AT_OPTION } from './counted.ts';
import { parseCpus, parseMemory } from './sizes.ts';
import { ownSymbols, symbolsFrom } from './symbols.ts';

export const BOOT_OPTIONS: readonly OptionSpec[] = [
  { name: 'kernel', short: 'k', kind: 'value', value: 'FILE', help: 'vmlinux (PVH or 64-bit entry), bzImage or multiboot 1 kernel (default: ours)' },
  { name: 'initrd', kind: 'value', value: 'FILE', help: 'initial RAM disk' },
  { name: 'append', kind: 'value', value: 'TEXT', help: 'kernel command line' },
  { name: 'disk', kind: 'list', value: 'FILE[,ro][,id=ID]', help: 'raw disk image; may be given again' },
  { name: 'memory', short: 'm', alias: ['mem'], kind: 'value', value: 'SIZE', help: 'guest memory, a bare number is MiB (default 256m)' },
  { name: 'cpus', kind: 'value', value: 'N', help: 'vCPUs (default 1)' },
  { name: 'console', kind: 'value', value: 'serial|hvc|none', help: 'the guest’s console on this terminal (default serial)' },
  { name: 'acpi', kind: 'value', value: 'auto|on|off', help: 'ACPI tables, or MP table and device parameters (auto: ACPI for a bzImage)' },
  ...ACCEL_OPTIONS,
  TIMEOUT,
  { name: 'exit-on', kind: 'list', value: 'reboot|port', help: 'end the run at a reboot, or at a byte written to port 0xf4' },
  { name: 'trace', kind: 'list', value: 'pio,mmio,irq,virtio,exec', help: 'write these events to the trace file; exec (executed blocks) with --icount' },
  { name: 'trace-file', kind: 'value', value: 'FILE', help: 'where to (default vmm-trace.txt)' },
  ...GDB_OPTIONS,
  { name: 'symbols', kind: 'value', value: 'FILE', help: 'System.map or vmlinux that names addresses (default: the kernel’s own)' },
  ...COUNTED_OPTIONS,
  STOP_AT_OPTION,
  ...REPORT_OPTIONS,
  HELP,
];

/** The machine that `vmm boot` is asked for. `ownKernel` is the path of the project's kernel. */
export function bootConfig(args: ParsedArgs, ownKernel: () => string): MachineConfig {
  if (args.positionals.length > 0) throw new VmmError('USAGE', `boot takes no argument ${args.positionals[0]}`, { hint: 'name the kernel with --kernel' });
  const exits = args.lists.get('exit-on') ?? [];
  for (const word of exits) {
    if (word !== 'reboot' && word !== 'port') throw new VmmError('USAGE', `--exit-on: ${word} is not reboot or port`, { hint: 'for example --exit-on port' });
  }
  const trace = args.lists.get('trace')?.join(',');
  if (trace === undefined && args.values.has('trace-file')) throw new VmmError('USAGE', '--trace-file needs --trace: nothing says what to write', { hint: 'add for example --trace pio,mmio' });
  const memory = args.values.get('memory');
  const cpus = args.values.get('cpus');
  return {
    ...accelOptions(args),
    kernel: args.values.get('kernel') ?? ownKernel(),
    initrd: args.values.get('initrd'),
    append: args.values.get('append') ?? '',
    memoryMib: memory === undefined ? 256 : parseMemory(memory, '--memory', 'mib'),
    cpus: cpus === undefined ? 1 : parseCpus(cpus, '--cpus'),
    console: choice(args, 'console', ['serial', 'hvc', 'none'], 'serial'),
    acpi: choice(args, 'acpi', ['auto', 'on', 'off'], 'auto'),
    disks: (args.lists.get('disk') ?? []).map(parseDisk),
    exitOnReboot: exits.includes('reboot'),
    exitOnPort: exits.includes('port'),
    symbols: symbolsFor(args.values.get('symbols'), args.values.get('kernel')),
    trace: trace === undefined ? undefined : { mask: traceMask(trace), fd: openTrace(args.values.get('trace-file') ?? 'vmm-trace.txt') },
  };
}

/** A file that is asked for must have names; a kernel may be stripped. */
function symbolsFor(asked: string | undefined, kernel: string | undefined): () => SymbolNames | undefined {
  if (asked === undefined) return kernel === undefined ? ownSymbols : symbolsFrom(() => kernel);
  const symbols = readSymbols(asked);
  if (symbols === undefined) throw new VmmError('SYMBOLS_BAD', `${asked} has no symbols`, { hint: 'name a System.map or a vmlinux that is not stripped' });
  return () => symbols;
}

/** `FILE[,ro][,id=ID]`; a comma in the file's name is written twice. */
export function parseDisk(text: string, index: number): DiskSpec {
  const parts = text.split(/(?<!,),(?!,)/).map((part) => part.replaceAll(',,', ','));
  const [path, ...options] = parts;
  if (path === undefined || path === '') throw new VmmError('USAGE', `--disk: ${text} names no file`, { hint: 'write FILE[,ro][,id=ID]' });
  let readOnly = false;
  let id = `disk${index}`;
  for (const option of options) {
    if (option === 'ro') readOnly = true;
    else if (option === 'rw') readOnly = false;
    else if (option.startsWith('id=')) id = option.slice(3);
    else throw new VmmError('USAGE', `--disk: ${option} is not an option of a disk`, { hint: 'options: ro, id=ID' });
  }
  return { path, readOnly, id };
}
