import { statSync } from 'node:fs';
import { constants } from 'node:os';
import type { MachineConfig } from '../machine/config.ts';
import type { MachineResult } from '../machine/result.ts';
import { needsHardware } from '../machine/accelerator.ts';
import { type RunIdentity, sizeData } from '../time/input-log.ts';
import { Machine } from '../machine/machine.ts';
import type { VmmError } from '../../base/errors.ts';
import { helpText, parseArgs } from './args.ts';
import { BOOT_OPTIONS, bootConfig } from './boot-options.ts';
import { CountedSession, countedOptions, fileDigest, inputRefused, refuseConsoleInput } from './counted.ts';
import { debuggerFor } from './gdb.ts';
import { guestFile } from './guest-files.ts';
import { parseDuration } from './sizes.ts';
import { namedLines } from './symbols.ts';
import * as STATUS from './status.ts';
import { outputLost, outputTo } from './stdio.ts';
import { KeySequence, RawTerminal } from './terminal.ts';

const ESCAPE_KEY = 0x1d; // Ctrl-]
/** Characters of the console's output that are looked at for an oops. */
const MESSAGES_KEPT = 16384;
const ESCAPE_HELP = '\r\nvmm: q quit, r reset, p pause or go on, d dump, any other key goes back\r\n';

/** `vmm boot`. Returns the exit status of docs/errors.md. */
export async function bootCommand(argv: readonly string[]): Promise<number> {
  const args = parseArgs(argv, BOOT_OPTIONS, { stopAtPositional: false, command: 'boot' });
  if (args.flags.get('help')) {
    process.stdout.write(helpText('vmm boot [OPTIONS]', 'Boots a kernel on this terminal. Ctrl-] opens the monitor.', BOOT_OPTIONS));
    return 0;
  }
  const timeoutText = args.values.get('timeout');
  const timeoutMs = timeoutText === undefined ? undefined : parseDuration(timeoutText, '--timeout');
  const options = countedOptions(args);
  const config = withConsole(bootConfig(args, () => guestFile('vmlinux')));
  if (!args.values.has('kernel')) await needsHardware(config.accel);
  const quiet = args.flags.get('quiet') ?? false;
  const terminal = RawTerminal.available() && config.console !== 'none' && options?.replay === undefined ? new RawTerminal() : undefined;
  const note = (text: string): void => {
    if (!quiet) process.stderr.write(`vmm: ${text}${terminal ? '\r' : ''}\n`);
  };
  let messages = '';
  const counted = options === undefined ? undefined : new CountedSession(options);
  const watch = counted !== undefined && !counted.recording && !counted.replaying && config.console !== 'none' && refuseConsoleInput() === 'watch';
  await using gdb = await debuggerFor(args, true, note);
  const output = outputTo(process.stdout);
  await using machine = new Machine(
    { ...config, debugger: gdb, counted: await counted?.config(() => identity(config), note) },
    {
      console: (bytes) => {
        messages = (messages + Buffer.from(bytes).toString('latin1')).slice(-MESSAGES_KEPT);
        return output(bytes);
      },
      note,
      traceLost: (code) => process.stderr.write(`vmm: the trace cannot be written: ${code} (tracing ends here; give --trace-file another place)\n`),
    },
  );
  machine.timeline.point('options read');

  const stop = new AbortController();
  let timedOut = false;
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => {
    timedOut = true;
    stop.abort();
  }, timeoutMs);
  let signal: NodeJS.Signals | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    signal ??= name;
    stop.abort();
  };
  // Nobody can see the console any more: the run ends as a pipeline's other commands do.
  let broken: string | undefined;
  output.onBroken((code) => {
    broken = code;
    stop.abort();
  });
  process.stderr.on('error', () => {});
  process.on('SIGTERM', onSignal);
  process.on('SIGHUP', onSignal);
  let refused: VmmError | undefined;
  if (terminal) {
    counted?.recorder?.sources(1);
    attachTerminal(terminal, consoleOf(machine, counted), stop);
  } else process.on('SIGINT', onSignal);
  if (!terminal && config.console !== 'none' && (counted === undefined || counted.recording)) {
    const { input } = consoleOf(machine, counted);
    counted?.recorder?.sources(1);
    process.stdin.on('data', (bytes: Uint8Array) => {
      process.stdin.pause();
      void input(bytes).then(() => process.stdin.resume());
    });
    process.stdin.on('end', () => counted?.recorder?.sources(-1));
    process.stdin.on('error', () => {});
  } else if (watch) {
    process.stdin.on('error', () => {});
    process.stdin.once('data', () => {
      refused = inputRefused('something came on standard input');
      stop.abort();
    });
  }
  let result: MachineResult;
  try {
    result = await machine.run({ signal: stop.signal });
  } catch (error) {
    counted?.abandon(machine.counted);
    throw error;
  } finally {
    clearTimeout(timer);
    terminal?.restore();
    process.stdin.destroy();
    for (const name of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.off(name, onSignal);
  }
  if (args.flags.get('timeline')) process.stderr.write(machine.timeline.text());
  if (refused !== undefined) throw refused;
  counted?.finish(machine.counted, result.kind !== 'stopped' && result.kind !== 'stop-at' && gdb === undefined);
  if (timedOut) {
    process.stderr.write(`vmm: the time of ${timeoutText} is over\n`);
    return STATUS.STATUS_TIMEOUT;
  }
  if (result.kind === 'stopped') {
    if (broken !== undefined && broken !== 'EPIPE') {
      throw outputLost(broken, 'the machine');
    }
    const by = broken === undefined ? signal : 'SIGPIPE';
    if (by !== undefined) return 128 + constants.signals[by];
  }
  const status = report(result);
  if (/Call Trace:|\bRIP: /.test(messages)) explain(messages, config);
  return status;
}

/** An oops of a kernel without symbol names has bare addresses: says what they are. */
function explain(messages: string, config: MachineConfig): void {
  const symbols = config.symbols?.();
  const lines = symbols === undefined ? [] : namedLines(messages, symbols);
  if (lines.length > 0) process.stderr.write(`vmm: addresses in the kernel's messages:\n${lines.join('\n')}\n`);
}

/** A console parameter is added unless the user's command line has one. */
function withConsole(config: MachineConfig): MachineConfig {
  if (config.console === 'none' || /(^| )console=/.test(config.append)) return config;
  const name = config.console === 'serial' ? 'ttyS0' : 'hvc0';
  return { ...config, append: `console=${name} ${config.append}`.trim() };
}

/** What the terminal does to a machine. In a counted run its input has a place in the run. */
interface ConsoleTarget {
  /** Resolves when more is welcome. */
  readonly input: (bytes: Uint8Array) => Promise<unknown>;
  readonly resize: (columns: number, rows: number) => void;
  /** Absent where a reset from outside could not be repeated. */
  readonly reset: (() => void) | undefined;
  readonly pause: () => Promise<void>;
  readonly resume: () => void;
  readonly dump: () => Promise<string>;
}

function consoleOf(machine: Machine, counted: CountedSession | undefined): ConsoleTarget {
  const submit = counted?.input();
  return {
    input: submit === undefined ? (bytes) => machine.input(bytes) : (bytes) => submit('console', bytes),
    resize: submit === undefined ? (columns, rows) => machine.resize(columns, rows) : (columns, rows) => void submit('resize', sizeData(columns, rows)),
    reset: counted === undefined ? () => machine.reset() : undefined,
    pause: () => machine.pause(),
    resume: () => machine.resume(),
    dump: () => machine.dump(),
  };
}

/** What a recorded run is made of, beside the options of every counted run. */
async function identity(config: MachineConfig): Promise<RunIdentity> {
  const disks = (config.disks ?? []).map((disk, index) => [`disk ${index}`, `${disk.id},${disk.readOnly},${statSync(disk.path, { throwIfNoEntry: false })?.size ?? 0}`] as const);
  return {
    memory: config.memoryMib,
    cpus: config.cpus,
    cpu: config.cpuModel ?? 'baseline',
    console: config.console,
    acpi: config.acpi ?? 'auto',
    append: config.append,
    kernel: await fileDigest(config.kernel),
    initrd: await fileDigest(config.initrd),
    ...Object.fromEntries(disks),
  };
}

function attachTerminal(terminal: RawTerminal, machine: ConsoleTarget, stop: AbortController): void {
  const escapeKey = new KeySequence([ESCAPE_KEY]);
  let inMonitor = false;
  let paused = false;
  const command = (key: string): void => {
    inMonitor = false;
    if (key === 'q') stop.abort();
    else if (key === 'r') machine.reset?.();
    else if (key === 'p') {
      paused = !paused;
      if (paused) void machine.pause().then(() => process.stdout.write('\r\nvmm: paused\r\n'));
      else machine.resume();
    } else if (key === 'd') void machine.dump().then((text) => process.stdout.write(`\r\n${text.replaceAll('\n', '\r\n')}`));
    else void machine.input(Buffer.from(key, 'latin1'));
  };
  const feed = (bytes: Uint8Array): void => {
    if (inMonitor) {
      if (bytes.length === 0) return;
      command(String.fromCharCode(bytes[0] as number));
      feed(bytes.subarray(1));
      return;
    }
    const { pass, hit, rest } = escapeKey.feed(bytes);
    if (pass.length > 0) void machine.input(pass);
    if (!hit) return;
    inMonitor = true;
    process.stdout.write(ESCAPE_HELP);
    feed(rest);
  };
  terminal.start(feed);
  const { columns, rows } = terminal.size();
  machine.resize(columns, rows);
  terminal.onResize((c, r) => machine.resize(c, r));
}

/** Says in words how the run ended, where that is not a plain power-off, and gives its status. */
export function report(result: MachineResult): number {
  const words = wordsOf(result);
  if (words !== undefined) process.stderr.write(`vmm: ${words}\n`);
  if ('dump' in result) process.stderr.write(result.dump);
  return STATUS.machineStatus(result);
}

/** What the status does not say by itself. */
function wordsOf(result: MachineResult): string | undefined {
  switch (result.kind) {
    case 'panic':
      return 'the guest\'s kernel panicked';
    case 'stop-at':
      return 'stopped at the count that --stop-at names, or where the recorded run was broken off';
    case 'triple-fault':
      return 'triple fault: an exception while the CPU delivered a double fault';
    case 'accel-error':
      return result.reason;
    default:
      return undefined;
  }
}
