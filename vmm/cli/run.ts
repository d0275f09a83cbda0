import { jitOf } from './common-options.ts';
import { constants } from 'node:os';
import { type ContainerOptions, type ContainerResult, ContainerRun } from '../api/containers.ts';
import type { RunIdentity } from '../api/counted.ts';
import { VmmError } from '../api/errors.ts';
import { hostFs, type ResolvedImage, resolveImage } from '../api/images.ts';
import { guestFile, needsHardware, ownSymbols, probePorts, type Timeline } from '../api/machine.ts';
import { parseArgs } from './args.ts';
import { confineConfig } from './confine.ts';
import { CountedSession, countedOptions, fileDigest, inputRefused, textDigest } from './counted.ts';
import { describeError } from './describe.ts';
import { attachTerminal } from './detach.ts';
import { debuggerFor } from './gdb.ts';
import { helpText } from './help.ts';
import { FORWARDED_SIGNALS, forwardStdin, type GuestInput, muteTerminal, NO_INPUT, recordedInput, thirdPress } from './input.ts';
import { endedBefore } from './machine-end.ts';
import { mountRequests, openMounts } from './mounts.ts';
import { longName } from './options.ts';
import { print, tell } from './output.ts';
import { ProgressLine } from './progress.ts';
import { contentTrust } from './pull-options.ts';
import { publishedPorts } from './run-network.ts';
import { attached, canBeLeft, containerOptions, detachKeysOf, isKept, joinsAnother, RUN, type RunOptions, sizedFor } from './run-options.ts';
import { Session } from './session.ts';
import { shortages } from './shortage.ts';
import { MIB } from './sizes.ts';
import { startTimeline } from './start.ts';
import { standardInput } from './stdin.ts';
import { RawTerminal, type Size } from './terminal.ts';

const { SIGINT, SIGKILL } = constants.signals;
/** How long a command may go on after a signal before the user is told how to kill it, ms. */
const HEED_MS = 2000;

/** `vmm run`. Returns the container's exit status, or one of docs/errors.md. `here`: it is known to have no owner. */
export async function runCommand(argv: readonly string[], here = false): Promise<number> {
  const timeline = startTimeline((note) => session.detail(note), () => session.entered());
  // `-h` is Docker's --hostname; alone it can only ask for help.
  const { options, operands } = parseArgs(argv.length === 1 && argv[0] === '-h' ? ['--help'] : argv, RUN);
  if (options.help) {
    print(helpText(RUN));
    return 0;
  }
  if (options.pod !== undefined) return (await import('./run-pod.ts')).runPod(options.pod, options, operands);
  if (options.strictIsolators) throw new VmmError('USAGE', '--strict-isolators is for pods', { hint: 'add --pod FILE' });
  const [reference, ...command] = operands;
  if (reference === undefined) throw new VmmError('USAGE', 'run needs an image', { hint: 'see `vmm run --help`' });
  if (options.detach && options.attach.length > 0) throw new VmmError('USAGE', 'conflicting options: -a and -d', { hint: 'leave one of them away' });
  if (options.detach) return (await import('./run-detached.ts')).runDetached(argv, options, operands);
  if (!here && (isKept(options) || joinsAnother(options) || (canBeLeft(options) && RawTerminal.available()))) {
    const status = await (await import('./run-joined.ts')).runJoined(argv);
    if (status !== undefined) return status;
  }
  if (joinsAnother(options)) throw new VmmError('USAGE', '--network container:NAME: a run with --gdb, --icount, --record, --replay or --timeline has a machine of its own', { hint: 'leave them away' });
  const repeats = countedOptions(options);
  const counted = repeats === undefined ? undefined : new CountedSession(repeats);
  refuseInput(options, counted);
  await probePorts(publishedPorts(options));
  await needsHardware(options.accel ?? 'auto');
  timeline.point('options read');

  const session = new Session({ ...options, what: 'the container', terminal: terminalFor(options, counted) });
  await using gdb = await debuggerFor(options, false, session.note);
  const progress = new ProgressLine();
  const note = (text: string): void => {
    progress.clear();
    session.note(text);
  };
  const image = await resolveImage(reference, { host: hostFs, note, pull: options.pull ?? 'missing', contentTrust: contentTrust(options), ...(options.insecureOptions === undefined ? {} : { insecure: options.insecureOptions }), ...(options.quiet ? {} : { progress: progress.update }) }).finally(() => progress.clear());
  timeline.point('image ready');
  for (const line of image.config.isolation?.ignored ?? []) session.note(line);
  const { mounts, tmpfs } = await openMounts(await mountRequests(options), image, note);
  const sized = sizedFor(image.config, options);
  const container = containerOptions(options, image.config, command, counted?.id, note);
  const run = await makeRun({ options: sized, session, counted, image, gdb, timeline }, { ...container, mounts, tmpfs: [...options.tmpfs, ...tmpfs] });
  connect(session, run, counted, options);
  const result = await runToEnd(session, run, counted);
  if (options.timeline) tell(timeline.text());
  const stopped = result.kind === 'machine' && result.result.kind === 'stopped';
  counted?.finish(run.machine.counted, !stopped && gdb === undefined);
  return session.status(result.kind !== 'exited') ?? statusOf(result, run.space, sized);
}

/** Input that a run cannot have. Throws USAGE, ICOUNT_INPUT. */
export function refuseInput({ name, tty, interactive, volume, mount, restart, hotplug }: RunOptions, counted: CountedSession | undefined, terminal = () => standardInput().isTTY): void {
  if (name === undefined && restart !== undefined && restart.name !== 'no') throw new VmmError('USAGE', '--restart is for containers that are kept', { hint: 'add --name NAME, or -d' });
  if (name === undefined && hotplug.length > 0) throw new VmmError('USAGE', '--hotplug is for containers that are kept', { hint: 'add --name NAME, or -d' });
  const shared = [...volume, ...mount].find((request) => request.type === 'bind' || (request.type === 'volume' && request.name !== undefined));
  if (shared !== undefined && counted !== undefined) throw new VmmError('ICOUNT_INPUT', `a run with --icount cannot have ${shared.option} ${shared.target}: what lies on the host may change between two runs`, { hint: 'put the files into the image' });
  if ((tty || interactive) && counted?.takesNothing) throw inputRefused(`${interactive ? '-i' : '-t'} asks for it`);
  if (tty && interactive && !counted?.replaying && !terminal()) throw new VmmError('USAGE', 'the input device is not a terminal', { hint: 'leave -t away' });
}

/** For -t; in a replay whatever it was recorded with, for the output to ask and nobody to hear the answer. */
function terminalFor(options: RunOptions, counted: CountedSession | undefined): RawTerminal | undefined {
  const replaying = counted?.replaying ?? false;
  return (options.tty || replaying) && RawTerminal.available() ? new RawTerminal({ forgets: replaying }) : undefined;
}

interface Parts {
  readonly options: RunOptions;
  readonly session: Session;
  readonly counted: CountedSession | undefined;
  readonly image: ResolvedImage;
  readonly gdb: Awaited<ReturnType<typeof debuggerFor>>;
  readonly timeline: Timeline;
}

/** Output that nobody asked for. */
const ignored = (): void => {};

async function makeRun({ options, session, counted, image, gdb, timeline }: Parts, container: ContainerOptions): Promise<ContainerRun> {
  const { without } = attached(options);
  const size = counted?.recordedSize() ?? (options.tty ? session.terminal?.size() : undefined);
  const run = new ContainerRun(
    image,
    container,
    {
      memoryMib: options.memory,
      vcpus: options.cpus?.vcpus,
      accel: options.accel,
      cpuModel: options.cpu,
      jit: jitOf(options.jit),
      debugger: gdb,
      symbols: ownSymbols,
      confine: confineConfig('after-entry', options),
      counted: await counted?.config(() => identity(options, container, image, size), session.note),
    },
    {
      stdout: without.includes('stdout') ? ignored : (bytes) => {
        if (counted?.replaying) session.watchQueries(bytes);
        return session.stdout(bytes);
      },
      stderr: without.includes('stderr') ? ignored : session.stderr,
      size,
      note: session.note,
    },
    timeline,
  );
  session.stderr.onBroken(() => run.process.closeStderr());
  return run;
}

/** Names of settings that do not have their option's. */
const OPTION_OF: Readonly<Record<string, string>> = { rlimits: '--ulimit', capabilities: '--cap-add or --cap-drop', cpuQuota: '--cpus', command: 'command' };
const LONGEST_SHOWN = 200;

/** What a recorded run is made of, beside the options of every counted run: by option. Of what may be secret or is long only the digest. */
async function identity(options: RunOptions, container: ContainerOptions, image: ResolvedImage, size: Size | undefined): Promise<RunIdentity> {
  const flat = (value: unknown): string => JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part));
  const shown = (key: string, value: unknown): string => {
    const text = typeof value === 'string' ? value : flat(value);
    return key === 'env' || key === 'command' || text.length > LONGEST_SHOWN ? textDigest(text) : text;
  };
  const given = Object.entries(container).filter(([, value]) => value !== undefined);
  return {
    '--memory': options.memory ?? 'default',
    '--cpu': options.cpu ?? 'default',
    '--cpus': options.cpus?.vcpus ?? 'default',
    ...Object.fromEntries(given.map(([key, value]) => [OPTION_OF[key] ?? `--${longName(key)}`, shown(key, value)])),
    kernel: await fileDigest(guestFile('vmlinux')),
    initrd: await fileDigest(guestFile('initramfs.cpio')),
    image: await fileDigest(image.rootfs),
    'image configuration': textDigest(flat(image.config)),
    terminal: size === undefined ? '' : `${size.columns}x${size.rows}`,
  };
}

/** Where signals, keys and standard input go. */
function connect(session: Session, run: ContainerRun, counted: CountedSession | undefined, options: RunOptions): void {
  const { input: interactive } = attached(options);
  const input = counted === undefined ? processInput(run) : (recordedInput(counted, 'stdin', interactive) ?? NO_INPUT);
  const interrupt = forwardSignals(session, run, counted, options.sigProxy);
  const { terminal } = session;
  if (counted?.replaying) {
    if (terminal) muteTerminal(terminal, (signal) => session.endBySignal(signal));
  } else if (terminal) attachTerminal(terminal, input, { detachKeys: detachKeysOf(options), interactive, interrupt, hangup: () => session.endBySignal(SIGKILL), stays: () => session.note('this run cannot be left: it lives in this process') });
  else if (interactive) forwardStdin(input);
}

function processInput({ process }: ContainerRun): GuestInput {
  return {
    write: (bytes) => process.stdin.write(bytes),
    end: () => process.stdin.end(),
    resize: (size) => process.resize(size).catch(() => {}),
  };
}

/**
 * Signals: before the command runs each ends the run; afterwards they go to it, and the third SIGINT within two seconds kills
 * the machine. In a counted run they have a place in its record; without a record they can only end it. Gives what passes a
 * SIGINT on.
 */
function forwardSignals(session: Session, run: ContainerRun, counted: CountedSession | undefined, proxy: boolean): () => void {
  let started = false;
  run.process.started.then(() => {
    started = true;
  }, () => {});
  const submit = counted?.input();
  const third = thirdPress();
  let told = false;
  const forward = (name: NodeJS.Signals, number: number): void => {
    if (name === 'SIGINT' && third()) session.endBySignal(SIGKILL);
    if (!started || !proxy || (counted !== undefined && submit === undefined)) {
      session.endBySignal(number);
      return;
    }
    if (submit !== undefined) void submit('signal', Uint8Array.of(number));
    else void run.process.signal(number).catch(() => {});
    if (told || !/^SIG(INT|TERM|HUP|QUIT)$/.test(name)) return;
    told = true;
    setTimeout(() => {
      if (!session.over) session.note(`the command goes on after ${name}: Ctrl-C three times within two seconds ends it, or kill -9 ${process.pid}`);
    }, HEED_MS).unref();
  };
  session.onSignals(FORWARDED_SIGNALS, forward);
  return () => forward('SIGINT', SIGINT);
}

async function runToEnd(session: Session, run: ContainerRun, counted: CountedSession | undefined): Promise<ContainerResult> {
  try {
    return await session.around(() => run.run({ signal: session.signal }));
  } catch (error) {
    counted?.abandon(run.machine.counted);
    throw error;
  }
}

/** The status of a run that came to its own end, with what is to be said about it. */
function statusOf(result: ContainerResult, space: ContainerRun['space'], options: RunOptions): number {
  switch (result.kind) {
    case 'exited':
      for (const line of shortages(result.status, space, options.memory === undefined ? undefined : options.memory * MIB)) tell(`vmm: ${line}\n`);
      return result.status.status;
    case 'failed':
      tell(describeError(result.error));
      return result.status;
    case 'machine':
      return endedBefore(result, 'container');
  }
}
