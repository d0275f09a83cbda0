import { constants } from 'node:os';
import { resolveImage } from '../../image/resolve.ts';
import { containerEnvironment } from '../container/env.ts';
import type { ContainerOptions } from '../container/options.ts';
import { ContainerRun, type ContainerResult } from '../container/run.ts';
import { signalNumber } from '../container/signals.ts';
import { nameAddresses } from '../boot/symbols.ts';
import { VmmError } from '../../base/errors.ts';
import { needsHardware } from '../machine/accelerator.ts';
import { sizeData } from '../time/input-log.ts';
import { Timeline } from '../machine/timeline.ts';
import { helpText, parseArgs } from './args.ts';
import { accelOptions } from './common-options.ts';
import { describeError, oneLine } from './describe.ts';
import { CountedSession, countedOptions, fileDigest, inputRefused, textDigest } from './counted.ts';
import { debuggerFor } from './gdb.ts';
import { guestFile } from './guest-files.ts';
import { hostFs } from './host-fs.ts';
import { report } from './boot.ts';
import { RUN_OPTIONS, runSettings } from './run-options.ts';
import { makeScratch } from './scratch.ts';
import * as STATUS from './status.ts';
import { ownSymbols } from './symbols.ts';
import { attachTerminal, forwardSignals, forwardStdin, type InputTarget, outputLost, outputTo } from './stdio.ts';
import { RawTerminal } from './terminal.ts';

const SIGTERM = constants.signals.SIGTERM;

/** `vmm run`. Returns the container's exit status, or one of docs/errors.md. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  const timeline = new Timeline();
  // `-h` is Docker's --hostname; alone it can only ask for help.
  const args = parseArgs(argv.length === 1 && argv[0] === '-h' ? ['--help'] : argv, RUN_OPTIONS, { stopAtPositional: true, command: 'run' });
  if (args.flags.get('help')) {
    process.stdout.write(helpText('vmm run [OPTIONS] IMAGE [COMMAND [ARG…]]', 'Runs a container image in a virtual machine of its own.', RUN_OPTIONS));
    return 0;
  }
  const [reference, ...command] = args.positionals;
  if (reference === undefined) throw new VmmError('USAGE', 'run needs an image', { hint: 'see `vmm run --help`' });
  const options = countedOptions(args);
  const counted = options === undefined ? undefined : new CountedSession(options);
  const settings = runSettings(args, counted?.id);
  const accel = accelOptions(args);
  const flag = (name: string): boolean => args.flags.get(name) ?? false;
  const interactive = flag('interactive');
  const tty = flag('tty');
  if ((tty || interactive) && counted !== undefined && !counted.recording && !counted.replaying) throw inputRefused(`${interactive ? '-i' : '-t'} asks for it`);
  if (tty && interactive && counted?.replaying !== true && !process.stdin.isTTY) throw new VmmError('USAGE', 'the input device is not a terminal', { hint: 'leave -t away' });
  await needsHardware(accel.accel);
  timeline.point('options read');

  const quiet = flag('quiet');
  const terminal = tty && counted?.replaying !== true && RawTerminal.available() ? new RawTerminal() : undefined;
  const note = (text: string): void => {
    if (!quiet) process.stderr.write(`vmm: ${text}${terminal ? '\r' : ''}\n`);
  };
  await using gdb = await debuggerFor(args, false, note);
  const image = await resolveImage(reference, {
    host: hostFs,
    note: (text) => {
      if (!quiet) process.stderr.write(`vmm: ${oneLine(text)}\n`);
    },
  });
  timeline.point('image ready');
  const entrypoint = args.values.get('entrypoint');
  const size = counted?.recordedSize() ?? terminal?.size();
  const scratchPath = settings.scratch === undefined ? undefined : makeScratch(settings.scratch);
  const stdout = outputTo(process.stdout);
  const stderr = outputTo(process.stderr);
  const container: ContainerOptions = {
    name: settings.name,
    hostname: settings.hostname,
    command,
    entrypoint: entrypoint === undefined ? undefined : entrypoint === '' ? [] : [entrypoint],
    env: containerEnvironment({
      image: image.config.env,
      envFiles: args.lists.get('env-file') ?? [],
      env: args.lists.get('env') ?? [],
      hostname: settings.hostname,
      tty,
      host: process.env,
    }),
    workdir: args.values.get('workdir'),
    user: args.values.get('user'),
    readOnly: flag('read-only'),
    tmpfs: settings.tmpfs,
    rlimits: settings.rlimits,
    capabilities: settings.capabilities,
    init: flag('init'),
    interactive,
    tty,
    stopSignal: settings.stopSignal ?? (image.config.stopSignal === undefined ? SIGTERM : signalNumber(image.config.stopSignal, 'the image’s StopSignal')),
    cpuQuota: settings.cpuQuota,
    scratch: settings.scratch,
  };
  const run = new ContainerRun(
    image,
    container,
    {
      memoryMib: settings.memoryMib,
      vcpus: settings.vcpus,
      ...accel,
      kernel: guestFile('vmlinux'),
      initrd: guestFile('initramfs.cpio'),
      scratchPath,
      debugger: gdb,
      symbols: ownSymbols,
      counted: await counted?.config(async () => ({
        memory: settings.memoryMib,
        cpus: settings.vcpus,
        cpu: accel.cpuModel ?? 'baseline',
        kernel: await fileDigest(guestFile('vmlinux')),
        initrd: await fileDigest(guestFile('initramfs.cpio')),
        image: await fileDigest(image.rootfs),
        container: textDigest(JSON.stringify({ ...container, capabilities: container.capabilities.toString(), image: image.config })),
        terminal: size === undefined ? '' : `${size.columns}x${size.rows}`,
      }), note),
    },
    {
      stdout,
      stderr,
      size: size === undefined ? undefined : { rows: size.rows, columns: size.columns },
      note,
    },
    timeline,
  );
  // Nobody can see the output any more, and there is no daemon to keep the container for: the run ends as a pipeline's
  // other commands do.
  let broken: string | undefined;
  stdout.onBroken((code) => {
    broken = code;
    run.kill();
  });
  stderr.onBroken(() => run.process.closeStderr());

  let timedOut = false;
  const timer = settings.timeoutMs === undefined ? undefined : setTimeout(() => {
    timedOut = true;
    run.kill();
  }, settings.timeoutMs);
  let endedBy: number = constants.signals.SIGKILL;
  const target = counted === undefined ? run : recordedTarget(run, counted, interactive, (signal) => {
    endedBy = signal;
  });
  forwardSignals(target);
  if (terminal) attachTerminal(terminal, target, settings.detachKeys, interactive);
  else if (interactive && counted?.replaying !== true) forwardStdin(target);
  let result: ContainerResult;
  try {
    result = await run.run();
  } catch (error) {
    counted?.abandon(run.machine.counted);
    throw error;
  } finally {
    clearTimeout(timer);
    terminal?.restore();
    process.stdin.destroy();
  }
  if (flag('timeline')) process.stderr.write(timeline.text());
  counted?.finish(run.machine.counted, !(result.kind === 'machine' && result.result.kind === 'stopped') && gdb === undefined);
  if (timedOut) {
    process.stderr.write(`vmm: the time of ${args.values.get('timeout')} is over\n`);
    return STATUS.STATUS_TIMEOUT;
  }
  if (broken === 'EPIPE' && result.kind !== 'exited') return 128 + constants.signals.SIGPIPE;
  if (broken !== undefined && broken !== 'EPIPE') throw outputLost(broken, 'the container');
  return statusOf(result, endedBy);
}

/**
 * Input of a counted run goes into its record, which gives it to the guest at a place that a replay finds again. Without a
 * record a signal can only end the run, which `onEnded` is told.
 */
function recordedTarget(run: ContainerRun, counted: CountedSession, interactive: boolean, onEnded: (signal: number) => void): InputTarget {
  const kill = (): void => run.kill();
  const submit = counted.input();
  const { started } = run.process;
  if (submit === undefined) {
    const nothing = async (): Promise<void> => {};
    const signal = async (number: number): Promise<void> => {
      onEnded(number);
      kill();
    };
    return { kill, process: { started, signal, resize: nothing, stdin: { write: async () => false, end: nothing } } };
  }
  let open = interactive;
  if (open) counted.recorder?.sources(1);
  return {
    kill,
    process: {
      started,
      signal: async (signal) => void (await submit('signal', Uint8Array.of(signal))),
      resize: async ({ columns, rows }) => void (await submit('resize', sizeData(columns, rows))),
      stdin: {
        write: async (bytes) => (await submit('stdin', bytes)) === true,
        end: async () => {
          if (open) counted.recorder?.sources(-1);
          open = false;
          await submit('stdin-end', new Uint8Array(0));
        },
      },
    },
  };
}

/** The kernel's messages with the names of its addresses, where our set-up has them. */
function named(messages: string): string {
  const symbols = ownSymbols();
  return symbols === undefined ? messages : nameAddresses(messages, symbols);
}

/** `endedBy`: the signal that ends a run which was stopped from outside. */
function statusOf(result: ContainerResult, endedBy: number): number {
  switch (result.kind) {
    case 'exited':
      return result.status.status;
    case 'failed':
      process.stderr.write(describeError(result.error));
      return result.status;
    case 'machine': {
      if (result.result.kind === 'stopped') return 128 + endedBy;
      process.stderr.write(result.console === '' ? '' : `${named(result.console.trimEnd())}\n`);
      const status = report(result.result);
      if (status !== 0 && status !== STATUS.STATUS_REBOOT) return status;
      process.stderr.write('vmm: the machine ended before the container did\n');
      return STATUS.STATUS_VMM_ERROR;
    }
  }
}
