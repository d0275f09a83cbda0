import { statSync } from 'node:fs';
import type { RunIdentity } from '../api/counted.ts';
import { guestFile, Machine, type MachineConfig, type MachineResult, namedLines, needsHardware, SOFTWARE_MODEL } from '../api/machine.ts';
import { parseArgs } from './args.ts';
import { BOOT, bootConfig } from './boot-options.ts';
import { confineConfig } from './confine.ts';
import { CountedSession, countedOptions, fileDigest, inputRefused, refuseConsoleInput } from './counted.ts';
import { guestLines } from './describe.ts';
import { debuggerFor } from './gdb.ts';
import { helpText } from './help.ts';
import { ENDING_SIGNALS, forwardStdin, type GuestInput, muteTerminal, recordedInput } from './input.ts';
import { attachMonitor } from './monitor.ts';
import { print, tell } from './output.ts';
import { report } from './report.ts';
import { Session } from './session.ts';
import { startTimeline } from './start.ts';
import { standardInput } from './stdin.ts';
import { RawTerminal } from './terminal.ts';

/** Characters of the console's output that are looked at for an oops. */
const MESSAGES_KEPT = 16384;

/** `vmm boot`. Returns the exit status of docs/errors.md. */
export async function bootCommand(argv: readonly string[]): Promise<number> {
  const { options, operands } = parseArgs(argv, BOOT);
  if (options.help) {
    print(helpText(BOOT));
    return 0;
  }
  const repeats = countedOptions(options);
  const config = bootConfig(options, operands, () => guestFile('vmlinux'));
  if (options.kernel === undefined) await needsHardware(config.accel);
  const counted = repeats === undefined ? undefined : new CountedSession(repeats);
  const session = new Session({ ...options, what: 'the machine', terminal: terminalFor(config, counted) });
  const watch = counted?.takesNothing === true && config.console !== 'none' && refuseConsoleInput() === 'watch';
  await using gdb = await debuggerFor(options, true, session.note);
  let messages = '';
  await using machine = new Machine(
    { ...config, confine: confineConfig('before-entry', { ...options, symbols: options.symbols ?? options.kernel }), debugger: gdb, counted: await counted?.config(() => identity(config), session.note) },
    {
      console: (bytes) => {
        messages = (messages + Buffer.from(bytes).toString('latin1')).slice(-MESSAGES_KEPT);
        if (counted?.replaying) session.watchQueries(bytes);
        return session.stdout(bytes);
      },
      note: session.note,
      traceLost: (code) => tell(`vmm: the trace cannot be written: ${code} (tracing ends here; give --trace-file another place)\n`),
    },
    startTimeline(session.detail, session.entered),
  );
  machine.timeline.point('options read');
  connect(session, machine, counted, config, watch);
  const result = await boot(session, machine, counted);
  if (options.timeline) tell(machine.timeline.text());
  counted?.finish(machine.counted, result.kind !== 'stopped' && result.kind !== 'stop-at' && gdb === undefined);
  const status = session.status(result.kind === 'stopped') ?? report(result);
  if (result.kind !== 'stopped' && /Call Trace:|\bRIP: /.test(messages)) explain(messages, config);
  return status;
}

/** Raw for a console; in a replay too, which reads nothing of what the terminal sends. */
function terminalFor(config: MachineConfig, counted: CountedSession | undefined): RawTerminal | undefined {
  if (config.console === 'none' || !RawTerminal.available()) return undefined;
  return new RawTerminal({ forgets: counted?.replaying ?? false });
}

/** Where signals, keys and standard input go. `watch`: standard input must stay empty. */
function connect(session: Session, machine: Machine, counted: CountedSession | undefined, config: MachineConfig, watch: boolean): void {
  session.onSignals(ENDING_SIGNALS, (_, number) => session.endBySignal(number));
  if (watch) {
    standardInput().on('error', () => {});
    standardInput().once('data', () => session.refuse(inputRefused('something came on standard input')));
    return;
  }
  if (config.console === 'none' || counted?.takesNothing) return;
  if (counted?.replaying) {
    if (session.terminal) muteTerminal(session.terminal, (signal) => session.endBySignal(signal));
    return;
  }
  const input = counted === undefined ? consoleInput(machine) : recordedInput(counted, 'console', true);
  if (input === undefined) return;
  if (session.terminal === undefined) forwardStdin(input);
  else attachMonitor(session.terminal, machine, input, { quit: () => session.quit(), canReset: counted === undefined });
}

function consoleInput(machine: Machine): GuestInput {
  return {
    write: async (bytes) => {
      await machine.input(bytes);
      return true;
    },
    end: async () => {},
    resize: async ({ columns, rows }) => machine.resize(columns, rows),
  };
}

async function boot(session: Session, machine: Machine, counted: CountedSession | undefined): Promise<MachineResult> {
  try {
    return await session.around(() => machine.run({ signal: session.signal }));
  } catch (error) {
    counted?.abandon(machine.counted);
    throw error;
  }
}

/** An oops of a kernel without symbol names has bare addresses: says what they are. */
function explain(messages: string, config: MachineConfig): void {
  const symbols = config.symbols?.();
  const lines = symbols === undefined ? [] : namedLines(messages, symbols);
  if (lines.length > 0) tell(`vmm: addresses in the kernel's messages:\n${guestLines(lines.join('\n'))}`);
}

/** What a recorded run is made of, beside the options of every counted run: by option. */
async function identity(config: MachineConfig): Promise<RunIdentity> {
  const disks = (config.disks ?? []).map((disk, index) => [`--disk ${index}`, `${disk.id},${disk.readOnly},${statSync(disk.path, { throwIfNoEntry: false })?.size ?? 0}`] as const);
  return {
    '--memory': config.memoryMib,
    '--cpus': config.cpus,
    '--cpu': config.cpuModel ?? SOFTWARE_MODEL,
    '--console': config.console,
    '--acpi': config.acpi ?? 'auto',
    '--append': config.append,
    '--kernel': await fileDigest(config.kernel),
    '--initrd': await fileDigest(config.initrd),
    ...Object.fromEntries(disks),
  };
}
