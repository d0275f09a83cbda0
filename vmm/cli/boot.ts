import type { MachineConfig, MachineResult } from '../machine/config.ts';
import { Machine } from '../machine/machine.ts';
import { VmmError } from '../errors.ts';
import { helpText, parseArgs } from './args.ts';
import { BOOT_OPTIONS, bootConfig } from './boot-options.ts';
import { debuggerFor } from './gdb.ts';
import { guestFile } from './guest-files.ts';
import { parseDuration } from './sizes.ts';
import { namedLines } from './symbols.ts';
import * as STATUS from './status.ts';
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
  const config = withConsole(bootConfig(args, () => guestFile('vmlinux')));
  const quiet = args.flags.get('quiet') ?? false;
  const terminal = RawTerminal.available() && config.console !== 'none' ? new RawTerminal() : undefined;
  const note = (text: string): void => {
    if (!quiet) process.stderr.write(`vmm: ${text}${terminal ? '\r' : ''}\n`);
  };
  let messages = '';
  await using gdb = await debuggerFor(args, true, note);
  await using machine = new Machine(
    { ...config, debugger: gdb },
    {
      console: (bytes) => {
        messages = (messages + Buffer.from(bytes).toString('latin1')).slice(-MESSAGES_KEPT);
        return writeOut(bytes);
      },
      note,
    },
  );
  machine.timeline.point('options read');

  const stop = new AbortController();
  let timedOut = false;
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => {
    timedOut = true;
    stop.abort();
  }, timeoutMs);
  const onSignal = (): void => stop.abort();
  process.on('SIGTERM', onSignal);
  process.on('SIGHUP', onSignal);
  if (terminal) attachTerminal(terminal, machine, stop);
  else process.on('SIGINT', onSignal);
  if (!terminal && config.console !== 'none') {
    process.stdin.on('data', (bytes: Buffer) => machine.input(bytes));
    process.stdin.on('error', () => {});
  }
  let result: MachineResult;
  try {
    result = await machine.run({ signal: stop.signal });
  } finally {
    clearTimeout(timer);
    terminal?.restore();
    process.stdin.destroy();
    for (const name of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.off(name, onSignal);
  }
  if (args.flags.get('timeline')) process.stderr.write(machine.timeline.text());
  if (timedOut) {
    process.stderr.write(`vmm: the time of ${timeoutText} is over\n`);
    return STATUS.STATUS_TIMEOUT;
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

function writeOut(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(bytes, () => resolve());
  });
}

function attachTerminal(terminal: RawTerminal, machine: Machine, stop: AbortController): void {
  const escapeKey = new KeySequence([ESCAPE_KEY]);
  let inMonitor = false;
  let paused = false;
  const command = (key: string): void => {
    inMonitor = false;
    if (key === 'q') stop.abort();
    else if (key === 'r') machine.reset();
    else if (key === 'p') {
      paused = !paused;
      if (paused) void machine.pause().then(() => process.stdout.write('\r\nvmm: paused\r\n'));
      else machine.resume();
    } else if (key === 'd') void machine.dump().then((text) => process.stdout.write(`\r\n${text.replaceAll('\n', '\r\n')}`));
    else machine.input(Buffer.from(key, 'latin1'));
  };
  const feed = (bytes: Uint8Array): void => {
    if (inMonitor) {
      if (bytes.length === 0) return;
      command(String.fromCharCode(bytes[0] as number));
      feed(bytes.subarray(1));
      return;
    }
    const { pass, hit, rest } = escapeKey.feed(bytes);
    if (pass.length > 0) machine.input(pass);
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
  switch (result.kind) {
    case 'poweroff':
    case 'halt':
      return STATUS.STATUS_OK;
    case 'debug-exit':
      return ((result.value << 1) | 1) & 0xff;
    case 'reboot':
      return STATUS.STATUS_REBOOT;
    case 'panic':
      process.stderr.write('vmm: the guest\'s kernel panicked\n');
      return STATUS.STATUS_PANIC;
    case 'stopped':
      return STATUS.STATUS_OK;
    case 'triple-fault':
      process.stderr.write(`vmm: triple fault: an exception while the CPU delivered a double fault\n${result.dump}`);
      return STATUS.STATUS_TRIPLE_FAULT;
    case 'accel-error':
      process.stderr.write(`vmm: ${result.reason}\n${result.dump}`);
      return STATUS.STATUS_KVM_ERROR;
    default:
      throw new VmmError('INTERNAL', `unknown result ${JSON.stringify(result satisfies never)}`);
  }
}
