import { VmmError } from '../api/errors.ts';
import { type DiskRate, type DiskSpec, type MachineConfig, openTrace, type Rate, ownSymbols, readSymbols, type ShareSpec, type SymbolNames, symbolsFrom, traceMask } from '../api/machine.ts';
import { ACCEL_OPTIONS, GDB_OPTIONS, HELP, jitOf, REPORT_OPTIONS, TIMEOUT } from './common-options.ts';
import { COUNTED_OPTIONS, STOP_AT_OPTION } from './counted.ts';
import { type Command, flag, group, list, oneOf, type OptionValues, value } from './options.ts';
import { parseCard } from './net-options.ts';
import { parseCpus, parseDiskLimit, parseLimit, parseMemory, parseSize } from './sizes.ts';

const OPTIONS = {
  ...group('Kernel', {
    kernel: value('FILE', 'vmlinux (PVH or 64-bit entry), bzImage or multiboot 1 kernel (default: ours)', undefined, { short: 'k' }),
    initrd: value('FILE', 'initial RAM disk'),
    append: value('TEXT', 'kernel command line'),
  }),
  ...group('Machine', {
    disk: list('FILE[,ro][,id=ID][,bw=SIZE[:BURST]][,ops=N[:BURST]][,read-bw=…][,write-ops=…]', 'raw disk image; may be given again'),
    share: list('TAG=DIR[,ro][,cache=none|auto|always][,idmap=none|xattr][,recursive=false][,quota=SIZE][,bw=SIZE[:BURST]][,ops=N[:BURST]]', 'directory of the host that the guest mounts: mount -t virtiofs TAG /mnt; may be given again'),
    rootShare: value('DIR[,ro][,cache=…]', 'the guest’s root is this directory'),
    net: list('user|passt|tap=NAME|fd=N|unix=PATH[,mac=MAC][,mtu=N][,pcap=FILE][,rx-bw=SIZE[:BURST]][,rx-ops=N][,tx-bw=…]', 'network card; may be given again (default none)', parseCard),
    memory: value('SIZE', 'guest memory, a bare number is MiB (default 256m)', (text, option) => parseMemory(text, option, 'mib'), { short: 'm', alias: ['mem'] }),
    cpus: value('N', 'vCPUs (default 1)', parseCpus),
    console: value('serial|hvc|none', 'the guest’s console on this terminal (default serial)', oneOf('serial', 'hvc', 'none')),
    acpi: value('auto|on|off', 'ACPI tables, or MP table and device parameters (auto: ACPI for a bzImage)', oneOf('auto', 'on', 'off')),
    ...ACCEL_OPTIONS,
  }),
  ...group('End of the run', {
    timeout: TIMEOUT,
    exitOn: list('reboot|port', 'end the run at a reboot, or at a value written to port 0xf4', parseExit),
  }),
  ...group('Debugging', {
    trace: list('pio,mmio,irq,virtio,exec', 'write these events to the trace file; exec (executed blocks) with --icount'),
    traceFile: value('FILE', 'where to (default vmm-trace.txt)'),
    ...GDB_OPTIONS,
    symbols: value('FILE', 'System.map or vmlinux that names addresses (default: the kernel’s own)'),
  }),
  ...COUNTED_OPTIONS,
  ...STOP_AT_OPTION,
  ...group('What is told', {
    ...REPORT_OPTIONS,
    verbose: flag(REPORT_OPTIONS.verbose.help, { short: 'v' }),
    help: HELP,
  }),
};

export type BootOptions = OptionValues<typeof OPTIONS>;

export const BOOT: Command<typeof OPTIONS> = {
  name: 'boot',
  synopsis: '[OPTIONS]',
  about: 'Boots a kernel on this terminal. Ctrl-] opens the monitor: quit, reset, pause, dump.',
  options: OPTIONS,
  examples: [
    ['vmm boot --kernel vmlinux --initrd initrd.img --append "console=ttyS0"', 'a kernel on the serial console'],
    ['vmm boot --kernel bzImage --disk root.img,ro --append "root=/dev/vda"', 'with a root disk that is not written to'],
    ['vmm boot --kernel vmlinux --gdb unix:/tmp/gdb.sock --wait', 'held before its first instruction until gdb lets it go'],
  ],
};

function parseExit(word: string, option: string): 'reboot' | 'port' {
  if (word !== 'reboot' && word !== 'port') throw new VmmError('USAGE', `${option}: ${word} is not reboot or port`, { hint: 'for example --exit-on port' });
  return word;
}

/** The machine that `vmm boot` is asked for. `ownKernel` is the path of the project's kernel. Opens the trace file. */
export function bootConfig(options: BootOptions, operands: readonly string[], ownKernel: () => string): MachineConfig {
  if (operands.length > 0) throw new VmmError('USAGE', `boot takes no argument ${operands[0]}`, { hint: 'name the kernel with --kernel' });
  if (options.trace.length === 0 && options.traceFile !== undefined) throw new VmmError('USAGE', '--trace-file needs --trace: nothing says what to write', { hint: 'add for example --trace pio,mmio' });
  const console = options.console ?? 'serial';
  return {
    accel: options.accel ?? 'auto',
    cpuModel: options.cpu,
    jit: { ...jitOf(options.jit), ownKernel: options.kernel === undefined },
    kernel: options.kernel ?? ownKernel(),
    initrd: options.initrd,
    append: withRoot(withConsole(options.append ?? '', console), options.rootShare),
    memoryMib: options.memory ?? 256,
    cpus: options.cpus ?? 1,
    console,
    acpi: options.acpi ?? 'auto',
    disks: options.disk.map(parseDisk),
    shares: sharesOf(options.share, options.rootShare),
    cards: options.net.filter((card) => card !== undefined),
    exitOnReboot: options.exitOn.includes('reboot'),
    exitOnPort: options.exitOn.includes('port'),
    symbols: symbolsFor(options.symbols, options.kernel),
    trace: options.trace.length === 0 ? undefined : { mask: traceMask(options.trace.join(',')), file: openTrace(options.traceFile ?? 'vmm-trace.txt') },
  };
}

/** A console parameter is added unless the user's command line has one. */
function withConsole(append: string, console: MachineConfig['console']): string {
  if (console === 'none' || /(^| )console=/.test(append)) return append;
  return `console=${console === 'serial' ? 'ttyS0' : 'hvc0'} ${append}`.trim();
}

/** The tag of --root-share. */
const ROOT_TAG = 'root';

/** Linux's parameters for a root that is a share, unless the user's command line has some. */
function withRoot(append: string, rootShare: string | undefined): string {
  if (rootShare === undefined || /(^| )root=/.test(append)) return append;
  return `${append} root=${ROOT_TAG} rootfstype=virtiofs ${parseShare(rootShare, '--root-share').root.readOnly === true ? 'ro' : 'rw'}`.trim();
}

function sharesOf(shares: readonly string[], rootShare: string | undefined): ShareSpec[] {
  const specs = shares.map((text) => {
    const [, tag = '', rest = ''] = /^([^=,]*)=(.*)$/s.exec(text) ?? [];
    if (tag === '' || rest === '') throw new VmmError('USAGE', `--share: ${text} does not name a tag and a directory`, { hint: 'write TAG=DIR[,ro]' });
    return { tag, ...parseShare(rest, '--share') };
  });
  if (rootShare !== undefined) specs.unshift({ tag: ROOT_TAG, ...parseShare(rootShare, '--root-share') });
  const twice = specs.find(({ tag }, index) => specs.findIndex((other) => other.tag === tag) !== index);
  if (twice !== undefined) throw new VmmError('USAGE', `--share: the tag ${twice.tag} is given twice`);
  return specs;
}

const CACHES = ['none', 'auto', 'always'] as const;
const IDMAPS = ['none', 'xattr'] as const;

/** `DIR[,ro][,cache=none|auto|always][,idmap=none|xattr][,recursive=…][,quota=…][,bw=…][,ops=…]`; a comma in the directory's name is written twice. */
function parseShare(text: string, option: string): { readonly root: NonNullable<ShareSpec['root']>; readonly rate: Rate | undefined } {
  const [path = '', ...words] = commaList(text);
  if (path === '') throw new VmmError('USAGE', `${option}: ${text} names no directory`, { hint: 'write DIR[,ro]' });
  let readOnly = false;
  let cache: (typeof CACHES)[number] | undefined;
  let rate: Rate | undefined;
  let quota: number | undefined;
  let idmap: (typeof IDMAPS)[number] | undefined;
  let recursive = true;
  for (const word of words) {
    const found = CACHES.find((each) => word === `cache=${each}`);
    if (word === 'ro' || word === 'rw') readOnly = word === 'ro';
    else if (found !== undefined) cache = found;
    else if (IDMAPS.some((each) => word === `idmap=${each}`)) idmap = word.slice('idmap='.length) as (typeof IDMAPS)[number];
    else if (word === 'recursive=true' || word === 'recursive=false') recursive = word === 'recursive=true';
    else if (/^(bw|ops)=/.test(word)) rate = parseLimit(rate, word, option);
    else if (word.startsWith('quota=')) quota = parseSize(word.slice('quota='.length), option, 'refuse');
    else throw new VmmError('USAGE', `${option}: ${word} is not an option of a share`, { hint: 'options: ro, cache=none|auto|always, idmap=none|xattr, recursive=true|false, quota=SIZE, bw=SIZE[:BURST], ops=N[:BURST]' });
  }
  return { root: { path, readOnly, cache, quota, idmap, recursive }, rate };
}

/** Words between commas; two of them are one in a word. */
function commaList(text: string): string[] {
  return text.split(/(?<!,),(?!,)/).map((part) => part.replaceAll(',,', ','));
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
  const [path, ...options] = commaList(text);
  if (path === undefined || path === '') throw new VmmError('USAGE', `--disk: ${text} names no file`, { hint: 'write FILE[,ro][,id=ID]' });
  let readOnly = false;
  let id = `disk${index}`;
  let rate: DiskRate | undefined;
  for (const option of options) {
    if (option === 'ro') readOnly = true;
    else if (option === 'rw') readOnly = false;
    else if (option.startsWith('id=')) id = option.slice(3);
    else if (/^((read|write)-)?(bw|ops)=/.test(option)) rate = parseDiskLimit(rate, option, '--disk');
    else throw new VmmError('USAGE', `--disk: ${option} is not an option of a disk`, { hint: 'options: ro, id=ID, bw=SIZE[:BURST], ops=N[:BURST]; of one way read-bw, write-bw, read-ops, write-ops' });
  }
  return { path, readOnly, id, rate };
}
