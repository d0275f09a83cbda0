import { EIO } from '../../assembly/contract/generated/errno.ts';
import { RAM_BASE } from '../../assembly/core/layout.ts';
import type { Accelerator, AcceleratorContext } from '../accel/types.ts';
import type { VcpuExit } from '../accel/vcpu.ts';
import { HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import * as EV from '../../assembly/contract/machine.ts';
import type { HostHooks } from '../core/hooks.ts';
import { releaseMemory } from '../core/memory.ts';
import { codeIsKept, keepCode } from '../core/module.ts';
import { startTrace, traceOf } from '../core/trace.ts';
import { type ConsoleInput, HostConsole, serialPort } from '../devices/console.ts';
import type { DevicePort } from '../devices/device.ts';
import type { MachineTime } from '../time/machine-time.ts';
import { type AccelChoice, abandonThreads, chooseAccelerator, prepareThreads } from './accelerator.ts';
import { loadProgram } from './boot.ts';
import { buildHardware, type Hardware } from './build.ts';
import type { ConfineConfig, MachineConfig } from './config.ts';
import { confine, prepareShares } from './confine.ts';
import { debugMachine } from './debug-machine.ts';
import type { MachineDebugger } from './debugger.ts';
import type { DeviceList } from './devices.ts';
import { dumpRegisters } from './dump.ts';
import type { ConsoleSize, MachineListener } from './listener.ts';
import { Reports } from './reports.ts';
import { giveBackAtRest } from './rest.ts';
import { ringerHooks } from './ringers.ts';
import { type LifeEnd, type MachineResult, resultOf } from './result.ts';
import { GUEST_ENTERED, KERNEL_LOADED, type Timeline } from './timeline.ts';

/** What a machine's lives have in common: it outlives resets. */
export interface LifeParts {
  readonly config: MachineConfig;
  readonly listener: MachineListener;
  readonly devices: DeviceList;
  readonly timeline: Timeline;
  readonly time: MachineTime;
  readonly input: ConsoleInput;
  /** The console's, as told last. */
  size(): ConsoleSize | undefined;
}

/** One life of a machine, from power-on to power-off or reset. */
export class Life {
  readonly #parts: LifeParts;
  readonly #reports: Reports;
  #hardware: Hardware | undefined;
  #accel: Accelerator | undefined;
  #console: HostConsole | undefined;
  /** The memory is, or may soon be, another machine's: what still comes late is not ours to answer. */
  #over = false;
  /** Who has the guest stand: `pause`, the debugger, so many dumps. It runs while nobody does. */
  #paused = false;
  #held = false;
  #dumps = 0;
  /** The vCPUs stand. */
  #stood = false;
  /** Making that so. */
  #settling: Promise<void> | undefined;
  /** How the debugger lets the guest go on, once it may. */
  #go: (() => void) | undefined;
  /** The devices stand too, or are to; resolves when they do, or when it was taken back. */
  #quiet: Promise<void> | undefined;
  readonly #powered = Promise.withResolvers<void>();
  readonly #end = Promise.withResolvers<LifeEnd>();
  #debugValue = 0;
  /** Ends looking whether the guest rests. */
  #looks: (() => void) | undefined;
  /** A thread may still write to the memory. */
  #abandoned = false;
  /** The reset that ended this life was asked for from outside. */
  resetAsked = false;

  constructor(parts: LifeParts) {
    this.#parts = parts;
    this.#reports = new Reports(parts.listener);
  }

  /** Bytes that the guest gave up and the host has back. */
  get discarded(): number {
    return this.#hardware?.discarder.bytes ?? 0;
  }

  get accelName(): string | undefined {
    return this.#accel?.name;
  }

  async run(): Promise<MachineResult> {
    const choice = await chooseAccelerator(this.#parts.config.accel, this.#parts.time);
    if (choice.note !== undefined) this.#parts.listener.note?.(choice.note, choice.name === 'wasm' ? 'accelerator' : undefined);
    try {
      await this.#powerOn(choice);
      this.#powered.resolve();
      const end = await this.#end.promise;
      return resultOf(end, { request: () => this.#hardware?.core.machine_exit_request() ?? 0, debugValue: this.#debugValue, dump: () => this.#dumpText() });
    } finally {
      this.#powered.resolve();
      await this.#stop();
      this.#keepCode();
      this.#parts.timeline.translated = this.#accel?.translated?.();
      for (const device of this.#parts.devices.list) device.detach?.();
    }
  }

  /** Ends all threads; one that is in a call of the host which does not end is left behind, and the machine's memory with it. */
  async #stop(): Promise<void> {
    this.#looks?.();
    const { shares } = this.#parts.devices;
    const stopped = this.#accel?.stop().then(() => false);
    this.#abandoned = (await Promise.race([stopped, shares.stuck().then((stuck) => (stuck ? true : new Promise<boolean>(() => {})))])) ?? false;
    if (this.#abandoned) abandonThreads();
  }

  #keepCode(): void {
    if (this.#accel?.name === 'wasm' && this.#hardware !== undefined) keepCode(this.#hardware.core, this.#hardware.linear.memory);
  }

  /** Gives the memory back; after `run` alone, and no more calls then. */
  release(): void {
    this.#over = true;
    this.#console?.close();
    if (this.#hardware !== undefined && !this.#abandoned) releaseMemory(this.#hardware.linear);
    this.#hardware = undefined;
  }

  async #powerOn(choice: AccelChoice): Promise<void> {
    const { config, devices, time, timeline } = this.#parts;
    // A single vCPU of the software CPU has its thread started when the guest runs, unless the process is bound by then: it may not be allowed to read its code.
    const late = choice.name === 'wasm' && config.cpus === 1 && config.confine?.when !== 'before-entry';
    if (time.parallel && !late) prepareThreads(config.cpus);
    const hardware = buildHardware(config, choice, devices.list, time, {
      hooks: (memory) => this.#hooks(memory),
      process: (slot, queue) => this.#process(slot, queue),
      thread: (kind, slots, own, descriptors) => this.#deviceThread(kind, slots, own, descriptors),
      wake: (slot) => this.#accel?.wakeDevice?.(slot),
      event: (kind, a, b) => this.#event(kind, a, b),
    });
    this.#hardware = hardware;
    timeline.codeKept = choice.name === 'wasm' && codeIsKept();
    this.resized();
    if (devices.shares.lacks !== undefined) this.#parts.listener.note?.(devices.shares.lacks);
    this.#openConsole(hardware);
    const entry = loadProgram(config, hardware);
    timeline.point(KERNEL_LOADED);
    const accel = await choice.create(this.#context(hardware));
    this.#accel = accel;
    devices.list.forEach((device, slot) => device.attach?.(hardware.ports[slot] as DevicePort));
    if (config.trace !== undefined) startTrace(config.trace.file, this.#parts.time.now());
    this.#confine('before-entry');
    await accel.start(entry, config.debugger !== undefined);
    if (config.debugger !== undefined) await this.#attachDebugger(accel, hardware, config.debugger);
    if (time.parallel) this.#looks = giveBackAtRest(accel, config.confine !== undefined, () => this.stands);
  }

  /** The main thread's part of the core's host. */
  #hooks(memory: WebAssembly.Memory): Partial<HostHooks> {
    const { config, devices: { list }, time } = this.#parts;
    const bytes = new Uint8Array(memory.buffer);
    const vsock = list.find((device) => device.vsock !== undefined);
    const trace = traceOf(config.trace?.file, 'main', () => time.now(), (kind, a, b) => this.#event(kind, a, b));
    return {
      irq: (line) => this.#accel?.interrupt(line),
      kick: (slot, queue) => (this.#accel?.kick === undefined ? this.#process(slot, queue) : this.#accel.kick(slot, queue)),
      blk: (slot, op, offset, iov, count, tag) => list[slot]?.blk?.(slot, op, offset, iov, count, tag) ?? -EIO,
      net: (slot, op, hdr, iov, count, bytes) => list[slot]?.net?.(slot, op, hdr, iov, count, bytes) ?? -EIO,
      console: (device, ptr, length) => {
        const output = bytes.slice(ptr, ptr + length);
        const serial = device === HOST_SERIAL ? this.#accel?.serial : undefined;
        return serial === undefined ? this.#output(device, output) : serial.put(output);
      },
      vsock: (connection, event, ptr, length) => vsock?.vsock?.(connection, event, ptr, length),
      event: (kind, a, b) => {
        if (!trace?.event(kind, a, b)) this.#event(kind, a, b);
      },
    };
  }

  #openConsole({ core, scratch }: Hardware): void {
    const { devices, input, listener, time } = this.#parts;
    const port = devices.console?.port(core) ?? serialPort(core);
    this.#console = new HostConsole({
      input: (ptr, length) => (this.#over || this.#holds ? 0 : port.input(ptr, length)),
      drained: () => {
        if (this.#over || this.#holds) return;
        port.drained();
        this.#accel?.serial?.drained();
      },
      settleMs: time.settle(port.settleMs),
    }, scratch, input);
    if (listener.console) this.#console.setSink((output) => time.taken(listener.console?.(output) ?? Promise.resolve()));
  }

  #context({ module, linear, core, ramSize, places }: Hardware): AcceleratorContext {
    const { config, devices, timeline } = this.#parts;
    return {
      module,
      memory: linear.memory,
      core,
      ramSize,
      cpus: config.cpus,
      cpuModel: config.cpuModel,
      jit: config.jit,
      devices: places,
      ringerHooks,
      trace: config.trace?.file,
      traceExec: ((config.trace?.mask ?? 0) & EV.TRACE_EXEC) !== 0,
      symbols: () => config.symbols?.(),
      onKick: (slot, queue) => {
        const device = devices.list[slot];
        if (device?.kicked === undefined) this.#process(slot, queue);
        else if (!this.#over) device.kicked(queue);
      },
      onGoesOn: (slot) => {
        const device = devices.list[slot];
        if (device?.kicked !== undefined) device.goesOn?.();
        else for (let queue = 0; queue < (device?.queues ?? 0); queue++) this.#process(slot, queue);
      },
      onEvent: (kind, a, b) => this.#event(kind, a, b),
      onSerial: (output, last) => this.#output(HOST_SERIAL, output, last),
      onExit: (exit: VcpuExit) => this.#end.resolve(exit),
      onEntered: () => timeline.point(GUEST_ENTERED),
      onThreads: () => this.#confine('after-entry'),
    };
  }

  /** For ConfineConfig.when `asked`. */
  confine(): void {
    this.#confine('asked');
  }

  #confine(when: ConfineConfig['when']): void {
    const { config, devices, listener, timeline } = this.#parts;
    if (this.#accel === undefined || config.confine?.when !== when) return;
    // As late as can be: a thread that starts takes from those that the guest's start waits for.
    prepareShares(config);
    if (confine(config, listener, this.#accel.name)) timeline.point('process confined');
    devices.shares.bound();
  }

  async #attachDebugger(accel: Accelerator, hardware: Hardware, attached: MachineDebugger): Promise<void> {
    const face = await accel.debug((stop) => attached.stopped(stop));
    this.#held = true;
    await accel.pause();
    this.#stood = true;
    attached.attach(debugMachine(accel.name, face, hardware, this.#parts.config.cpus, {
      pause: async () => {
        this.#held = true;
        // While others have it stand it has not gone on since: it stands where it stood.
        if (this.#paused) this.#go = undefined;
        await this.#settle();
      },
      resume: (actions) => {
        this.#held = false;
        this.#go = () => face.resume(actions);
        void this.#settle();
      },
      dump: () => this.dump(),
      reset: () => this.requestReset(true),
      stop: () => this.requestStop(),
    }));
  }

  #deviceThread(kind: string, slots: readonly number[], own: unknown, descriptors = false): boolean {
    if (this.#accel?.deviceThread === undefined || this.#over) return false;
    this.#accel.deviceThread(kind, slots, own, descriptors);
    return true;
  }

  /** Works on a queue of a device that this thread owns, a bounded amount at a time so that nothing else starves. */
  #process(slot: number, queue: number): void {
    if (this.#over) return;
    const more = this.#hardware?.core.device_process(slot, queue);
    if (more !== undefined && more > 0) setImmediate(() => this.#process(slot, queue));
  }

  #output(device: number, bytes: Uint8Array, last = false): number {
    const wanted = device === HOST_SERIAL ? 'serial' : 'hvc';
    if (this.#parts.config.console !== wanted) return bytes.length;
    return this.#console?.output(bytes, last) ?? bytes.length;
  }

  #event(kind: number, a: number, b: bigint): void {
    if (kind === EV.MACHINE_EV_MARK) this.#parts.timeline.mark(a);
    else if (kind === EV.MACHINE_EV_INPUT) this.#console?.ready();
    else if (kind === EV.MACHINE_EV_DEBUG_EXIT) this.#debugValue = a;
    else if (kind === EV.MACHINE_EV_NEEDS_RESET) this.#reports.needsReset(a, b);
    else if (kind === EV.HOST_EV_DISK_ERROR) this.#reports.diskError(this.#parts.devices.list[a]?.name, Number(b));
    else if (kind === EV.HOST_EV_NET_LOST) this.#reports.netLost(this.#parts.devices.list[a]?.name, Number(b));
    else if (kind === EV.HOST_EV_NET_CAPTURE) this.#reports.captureError(this.#parts.devices.list[a]?.name, Number(b));
    else if (kind === EV.HOST_EV_SHARE_STUCK) this.#reports.shareStuck(this.#parts.devices.list[a]?.name);
    else if (kind === EV.HOST_EV_SHARE_UNWATCHED) this.#reports.shareUnwatched(this.#parts.devices.list[a]?.name, Number(b));
    else if (kind === EV.HOST_EV_TRACE_ERROR) this.#reports.traceError(Number(b));
  }

  /** The console's size has changed; a machine without devices yet asks for it. */
  resized(): void {
    const size = this.#parts.size();
    const core = this.#hardware?.core;
    if (size !== undefined && core !== undefined) this.#parts.devices.console?.resize(core, size.columns, size.rows);
  }

  /** The guest stands, or is to. */
  get stands(): boolean {
    return this.#paused || this.#held || this.#dumps > 0;
  }

  /** The devices take nothing from the guest and give it nothing. */
  get #holds(): boolean {
    return this.#paused && this.#accel?.holdDevices !== undefined;
  }

  /** Resolves when the vCPUs do what they are to; asked for before they run, they stand as soon as they do. */
  #settle(): Promise<void> {
    this.#settling ??= this.#doSettle();
    return this.#settling;
  }

  /** One at a time: what is asked for meanwhile is seen at the next turn. */
  async #doSettle(): Promise<void> {
    await this.#powered.promise;
    try {
      for (let accel = this.#accel; accel !== undefined && !this.#over; ) {
        const go = this.#go;
        // The debugger may have stopped its guest again: it runs before it is stopped, or a step would be none.
        if (this.#stood && !this.#paused && this.#dumps === 0 && (go !== undefined || !this.#held)) {
          this.#stood = false;
          this.#go = undefined;
          if (go === undefined) accel.resume();
          else go();
        } else if (!this.#stood && this.stands) {
          await accel.pause();
          this.#stood = true;
        } else return;
      }
    } finally {
      this.#settling = undefined;
    }
  }

  /** Resolves when the guest and its devices stand, and no request is in flight at the host; when that was taken back; or when this life is over. */
  async pause(): Promise<void> {
    this.#paused = true;
    await Promise.race([this.#becomeQuiet(), this.#end.promise]);
  }

  async #becomeQuiet(): Promise<void> {
    do await this.#settle();
    while (this.#paused && !this.#stood && this.#accel !== undefined && !this.#over);
    if (!this.#paused || this.#over) return;
    this.#quiet ??= this.#accel?.holdDevices?.();
    await this.#quiet;
  }

  /** Devices first, which may still wait for the host: they need not stand before they go on. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#quiet !== undefined && !this.#over) this.#accel?.releaseDevices?.();
    this.#quiet = undefined;
    if (!this.#over) this.#console?.goesOn();
    void this.#settle();
  }

  async dump(): Promise<string> {
    this.#dumps++;
    await this.#settle();
    const text = this.#dumpText();
    this.#dumps--;
    void this.#settle();
    return text;
  }

  #dumpText(): string {
    const { config } = this.#parts;
    if (this.#accel === undefined || this.#hardware === undefined) return '';
    const ram = new Uint8Array(this.#hardware.linear.memory.buffer, RAM_BASE, this.#hardware.ramSize);
    const symbols = config.symbols?.();
    let text = '';
    for (let i = 0; i < config.cpus; i++) text += dumpRegisters(i, this.#accel.registers(i), ram, symbols);
    return text;
  }

  requestStop(): void {
    this.#end.resolve({ kind: 'stopped' });
  }

  /** `always`: also where a reset by the guest would end the run. */
  requestReset(always = false): void {
    this.resetAsked = always;
    this.#end.resolve({ kind: 'reset' });
  }
}
