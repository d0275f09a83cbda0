import { RAM_BASE, SCRATCH_BASE, SCRATCH_STRIDE, VCPU_MAX } from '../../assembly/core/layout.ts';
import type { Accelerator } from '../accel/types.ts';
import type { VcpuExit } from '../accel/vcpu.ts';
import { writeAcpi } from '../boot/acpi.ts';
import { loadKernel } from '../boot/kernel.ts';
import { kernelFormat } from '../boot/format.ts';
import { writeMpTable } from '../boot/mptable.ts';
import { type ConsoleInput, HostConsole } from '../devices/console.ts';
import { DiskServer, type OpenDisk } from '../devices/disk.ts';
import type { VsockHost } from '../devices/vsock.ts';
import { VmmError } from '../../base/errors.ts';
import { errnoName } from '../host/errno.ts';
import type { LinearMemory } from '../host/linear-memory.ts';
import { chooseAccelerator, type AccelChoice, prepareThreads } from './accelerator.ts';
import type { MachineConfig } from './config.ts';
import type { MachineResult } from './result.ts';
import type { CountedRun } from '../time/counted.ts';
import type { CoreExports } from '../core/exports.ts';
import { coreModule } from '../core/module.ts';
import { hostClocks } from '../time/clocks.ts';
import { instantiateCore } from '../core/instance.ts';
import type { MachineDebugger } from './debugger.ts';
import { addDevices, deviceParameters, type MachineDevices } from './devices.ts';
import { dumpRegisters } from './dump.ts';
import * as EV from '../core/events.ts';
import { acquireMemory, Discarder, releaseMemory } from '../core/memory.ts';
import { MachineMemory } from './memory.ts';
import type { Timeline } from './timeline.ts';
import { TRACE_EXEC, traceOf } from '../core/trace.ts';

const MIB = 1024 ** 2;

/** What a running machine tells its user. All are called on the main thread. */
export interface MachineListener {
  /** Bytes of the guest's console; the guest is held up while many promises are open. */
  console?(bytes: Uint8Array): Promise<void>;
  /** A note for the user, such as the accelerator's choice. One line without its end. */
  note?(text: string): void;
  /** The trace file cannot be written any more, because of `code` (ENOSPC …); the run goes on. */
  traceLost?(code: string): void;
}

/** Of a console, in characters. */
export interface ConsoleSize {
  readonly columns: number;
  readonly rows: number;
}

/** One life of a machine, from power-on to power-off or reset. */
export class Running {
  readonly #config: MachineConfig;
  readonly #listener: MachineListener;
  readonly #disks: readonly OpenDisk[];
  readonly #vsock: VsockHost;
  readonly #timeline: Timeline;
  readonly #counted: CountedRun | undefined;
  readonly #ramSize: number;
  #core: CoreExports | undefined;
  #linear: LinearMemory | undefined;
  #discarder: Discarder | undefined;
  /** The memory is, or may soon be, another machine's: what still comes late is not ours to answer. */
  #over = false;
  #accel: Accelerator | undefined;
  #devices: MachineDevices | undefined;
  #console: HostConsole | undefined;
  /** Set while the guest stands or is being stopped; resolves when it stands. */
  #standing: Promise<void> | undefined;
  readonly #powered: Promise<void>;
  #isPowered: () => void = () => {};
  readonly #size: () => ConsoleSize | undefined;
  readonly #input: ConsoleInput;
  readonly #brokenSlots = new Set<number>();
  /** The debugger has stopped the guest: only it lets it go on. */
  #held = false;
  #finish: (end: VcpuExit | { kind: 'stopped' | 'reset' }) => void = () => {};
  readonly #end: Promise<VcpuExit | { kind: 'stopped' | 'reset' }>;
  #debugValue = 0;
  readonly #diskErrors = new Set<string>();
  #traceLost = false;

  constructor(config: MachineConfig, listener: MachineListener, disks: readonly OpenDisk[], vsock: VsockHost, timeline: Timeline, counted: CountedRun | undefined, size: () => ConsoleSize | undefined, input: ConsoleInput) {
    this.#config = config;
    this.#counted = counted;
    this.#size = size;
    this.#input = input;
    this.#listener = listener;
    this.#disks = disks;
    this.#vsock = vsock;
    this.#timeline = timeline;
    this.#ramSize = config.memoryMib * MIB;
    this.#end = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#powered = new Promise((resolve) => {
      this.#isPowered = resolve;
    });
  }

  get discarded(): number {
    return this.#discarder?.bytes ?? 0;
  }

  /** Gives the memory back; after `run` alone, and no more calls then. */
  release(): void {
    this.#over = true;
    this.#console?.close();
    if (this.#linear !== undefined) releaseMemory(this.#linear);
    this.#linear = undefined;
  }

  /** The reset that ended this life was asked for from outside. */
  resetAsked = false;

  get accelName(): string | undefined {
    return this.#accel?.name;
  }

  async run(): Promise<MachineResult> {
    const choice = await chooseAccelerator(this.#config.accel, this.#counted !== undefined);
    if (choice.note !== undefined) this.#listener.note?.(choice.note);
    try {
      await this.#powerOn(choice);
      this.#isPowered();
      const end = await this.#end;
      return await this.#result(end);
    } finally {
      this.#isPowered();
      await this.#accel?.stop();
    }
  }

  async #powerOn(choice: AccelChoice): Promise<void> {
    const config = this.#config;
    if (this.#counted === undefined) prepareThreads(config.cpus);
    const module = coreModule(choice.name === 'kvm' ? 'core-kvm' : 'core');
    const linear = acquireMemory(this.#ramSize);
    this.#linear = linear;
    const { memory } = linear;
    const discarder = new Discarder(linear, this.#ramSize);
    this.#discarder = discarder;
    const bytes = new Uint8Array(memory.buffer);
    const server = new DiskServer(memory, this.#ramSize, this.#disks, (disk, errno) => this.#event(EV.HOST_EV_DISK_ERROR, disk, BigInt(errno)));
    const counted = this.#counted;
    const clocks = counted ?? hostClocks();
    const trace = traceOf(config.trace?.fd, 'main', () => clocks.now(), (kind, a, b) => this.#event(kind, a, b));
    const core = instantiateCore(module, memory, {
      irq: (line) => this.#accel?.interrupt(line),
      kick: (slot, queue) => (this.#accel?.kick === undefined ? this.#process(slot, queue) : this.#accel.kick(slot, queue)),
      blk: (disk, op, offset, iov, count) => server.request(disk, op, offset, iov, count),
      console: (device, ptr, length) => {
        const output = bytes.slice(ptr, ptr + length);
        const serial = device === EV.HOST_SERIAL ? this.#accel?.serial : undefined;
        return serial === undefined ? this.#output(device, output) : serial.put(output);
      },
      vsock: (connection, event, ptr, length) => this.#vsock.event(connection, event, ptr, length),
      event: (kind, a, b) => {
        if (!trace?.event(kind, a, b)) this.#event(kind, a, b);
      },
      // What discarded memory reads as depends on the host.
      discard: counted === undefined ? discarder.discard : () => {},
    }, clocks, counted === undefined ? undefined : (length) => counted.guestRandom.bytes(length));
    this.#core = core;
    if (core.machine_init(this.#ramSize, config.cpus, choice.machineFlags | (config.exitOnPort ? EV.MACHINE_F_DEBUG_EXIT : 0)) !== 0) {
      throw new VmmError('INTERNAL', `the core refuses a machine of ${config.memoryMib} MiB and ${config.cpus} vCPUs`);
    }
    if (config.trace !== undefined) core.machine_trace(config.trace.mask & ~TRACE_EXEC);
    const scratchAt = SCRATCH_BASE + (VCPU_MAX + 1) * SCRATCH_STRIDE;
    const scratch = { bytes: bytes.subarray(scratchAt, scratchAt + SCRATCH_STRIDE), offset: scratchAt };
    const devices = addDevices(core, config, this.#disks, scratch);
    this.#devices = devices;
    const size = this.#size();
    if (size !== undefined) devices.resize?.(size.columns, size.rows);
    const { input, drained, settleMs } = devices.console;
    this.#console = new HostConsole({ input: (ptr, length) => (this.#over ? 0 : input(ptr, length)), drained: () => {
      if (this.#over) return;
      drained();
      this.#accel?.serial?.drained();
    }, settleMs: counted === undefined ? settleMs : 0 }, scratch, this.#input);
    if (this.#listener.console) {
      this.#console.setSink((output) => {
        const taken = this.#listener.console?.(output) ?? Promise.resolve();
        counted?.hold(taken);
        return counted === undefined ? taken : Promise.resolve();
      });
    }
    if (devices.vsockSlot !== undefined) this.#vsock.attach(core, memory);

    const guest = new MachineMemory(memory, this.#ramSize, (gpa, length) => core.guest_written(gpa, length));
    const acpi = config.acpi === 'on' || (config.acpi !== 'off' && kernelFormat(config.kernel) === 'bzimage');
    const slots = devices.places.map((place) => place.slot);
    const rsdp = acpi ? writeAcpi(guest, config.cpus, slots) : 0;
    if (!acpi) writeMpTable(guest, config.cpus);
    const append = [config.append, ...(acpi ? [] : deviceParameters(slots))].filter((part) => part !== '').join(' ');
    const kernel = loadKernel(guest, { kernel: config.kernel, initrd: config.initrd, append, rsdp });
    this.#timeline.point('kernel loaded');

    this.#accel = await choice.create({
      module,
      memory,
      core,
      ramSize: this.#ramSize,
      cpus: config.cpus,
      cpuModel: config.cpuModel,
      devices: devices.places,
      disks: this.#disks,
      traceFd: config.trace?.fd,
      counted,
      traceExec: ((config.trace?.mask ?? 0) & TRACE_EXEC) !== 0,
      symbols: () => config.symbols?.(),
      onKick: (slot, queue) => this.#process(slot, queue),
      onEvent: (kind, a, b) => this.#event(kind, a, b),
      onSerial: (output, last) => this.#output(EV.HOST_SERIAL, output, last),
      onExit: (exit) => this.#finish(exit),
      onEntered: () => this.#timeline.point('first guest entry'),
    });
    await this.#accel.start(kernel.entry, config.debugger !== undefined);
    if (config.debugger !== undefined) await this.#attachDebugger(this.#accel, core, config.debugger);
  }

  async #attachDebugger(accel: Accelerator, core: CoreExports, attached: MachineDebugger): Promise<void> {
    const face = await accel.debug((stop) => attached.stopped(stop));
    this.#held = true;
    this.#standing = accel.pause();
    await this.#standing;
    attached.attach({
      accelerator: accel.name,
      cpus: this.#config.cpus,
      ram: new Uint8Array((this.#linear as LinearMemory).memory.buffer, RAM_BASE, this.#ramSize),
      written: (gpa, length) => core.guest_written(gpa, length),
      pause: async () => {
        this.#held = true;
        await this.pause();
      },
      resume: (actions) => {
        this.#held = false;
        this.#standing = undefined;
        face.resume(actions);
      },
      dump: () => this.dump(),
      reset: () => this.requestReset(true),
      stop: () => this.requestStop(),
      registers: (vcpu) => face.registers(vcpu),
      setRegister: (vcpu, name, value) => face.setRegister(vcpu, name, value),
      translate: (vcpu, address) => face.translate(vcpu, address),
      refusal: (list) => face.refusal(list),
      setBreakpoints: (list) => face.setBreakpoints(list),
      waiting: (vcpu) => face.waiting(vcpu),
      lapic: (vcpu) => face.lapic(vcpu),
      ioapic: () => face.ioapic(),
    });
  }

  /** Works on a queue of a device that this thread owns, a bounded amount at a time so that nothing else starves. */
  #process(slot: number, queue: number): void {
    if (this.#over) return;
    const more = this.#core?.device_process(slot, queue);
    if (more !== undefined && more > 0) setImmediate(() => this.#process(slot, queue));
  }

  #output(device: number, bytes: Uint8Array, last = false): number {
    const wanted = device === EV.HOST_SERIAL ? 'serial' : 'hvc';
    if (this.#config.console !== wanted) return bytes.length;
    return this.#console?.output(bytes, last) ?? bytes.length;
  }

  #event(kind: number, a: number, b: bigint): void {
    if (kind === EV.MACHINE_EV_MARK) this.#timeline.mark(a);
    else if (kind === EV.MACHINE_EV_INPUT) this.#console?.ready();
    else if (kind === EV.MACHINE_EV_DEBUG_EXIT) this.#debugValue = a;
    else if (kind === EV.MACHINE_EV_NEEDS_RESET) this.#broken(a, b);
    else if (kind === EV.HOST_EV_DISK_ERROR) this.#diskError(a, Number(b));
    else if (kind === EV.HOST_EV_TRACE_ERROR) this.#traceError(Number(b));
  }

  /** Told once for each device: a guest can do it for ever. */
  #broken(slot: number, rule: bigint): void {
    if (this.#brokenSlots.has(slot)) return;
    this.#brokenSlots.add(slot);
    this.#listener.note?.(`device in slot ${slot} needs a reset: its driver broke the rules (${rule})`);
  }

  /** Told once for each disk and errno, however many threads serve it. */
  #diskError(disk: number, errno: number): void {
    const text = `disk ${this.#disks[disk]?.path}: ${errnoName(errno)}: the guest gets I/O errors`;
    if (this.#diskErrors.has(text)) return;
    this.#diskErrors.add(text);
    this.#listener.note?.(text);
  }

  /** Told once, however many threads trace. */
  #traceError(errno: number): void {
    if (!this.#traceLost) this.#listener.traceLost?.(errnoName(errno));
    this.#traceLost = true;
  }

  async #result(end: VcpuExit | { kind: 'stopped' | 'reset' }): Promise<MachineResult> {
    if (end.kind === 'stopped') return { kind: 'stopped' };
    if (end.kind === 'reset') return { kind: 'reboot' };
    if (end.kind === 'failed') throw end.error;
    if (end.kind === 'stop-at') return { kind: 'stop-at', dump: this.#dumpText() };
    if (end.kind === 'triple-fault') return { kind: 'triple-fault', dump: this.#dumpText() };
    if (end.kind === 'error') return { kind: 'accel-error', reason: end.reason, dump: this.#dumpText() };
    switch (this.#core?.machine_exit_request()) {
      case EV.MACHINE_EV_POWEROFF:
        return { kind: 'poweroff' };
      case EV.MACHINE_EV_REBOOT:
      case EV.MACHINE_EV_RESET:
        return { kind: 'reboot' };
      case EV.MACHINE_EV_PANIC:
        return { kind: 'panic' };
      case EV.MACHINE_EV_HALT:
        return { kind: 'halt' };
      case EV.MACHINE_EV_DEBUG_EXIT:
        return { kind: 'debug-exit', value: this.#debugValue };
      default:
        return { kind: 'accel-error', reason: 'the machine stopped without a request', dump: this.#dumpText() };
    }
  }

  /** The console's size has changed; a machine without devices yet asks for it. */
  resized(): void {
    const size = this.#size();
    if (size !== undefined) this.#devices?.resize?.(size.columns, size.rows);
  }

  /** Resolves when the guest stands; asked for before it runs, it stands as soon as it does. */
  pause(): Promise<void> {
    this.#standing ??= this.#powered.then(() => this.#accel?.pause());
    return this.#standing;
  }

  resume(): void {
    const standing = this.#standing;
    if (standing === undefined || this.#held) return;
    this.#standing = undefined;
    // Not before the pause is over, and not when there is a new one by then.
    void standing.then(() => {
      if (this.#standing === undefined && !this.#over) this.#accel?.resume();
    });
  }

  async dump(): Promise<string> {
    const wasPaused = this.#standing !== undefined;
    await this.pause();
    const text = this.#dumpText();
    if (!wasPaused) this.resume();
    return text;
  }

  #dumpText(): string {
    const { cpus } = this.#config;
    if (this.#accel === undefined || this.#linear === undefined) return '';
    const ram = new Uint8Array(this.#linear.memory.buffer, RAM_BASE, this.#ramSize);
    const symbols = this.#config.symbols?.();
    let text = '';
    for (let i = 0; i < cpus; i++) text += dumpRegisters(i, this.#accel.registers(i), ram, symbols);
    return text;
  }

  requestStop(): void {
    this.#finish({ kind: 'stopped' });
  }

  /** `always`: also where a reset by the guest would end the run. */
  requestReset(always = false): void {
    this.resetAsked = always;
    this.#finish({ kind: 'reset' });
  }
}
