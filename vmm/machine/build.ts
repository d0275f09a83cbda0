import { SCRATCH_BASE, SCRATCH_STRIDE, VCPU_MAX } from '../../assembly/core/layout.ts';
import { VmmError } from '../../base/errors.ts';
import { MACHINE_F_DEBUG_EXIT, TRACE_EXEC } from '../../assembly/contract/machine.ts';
import type { CoreExports } from '../core/exports.ts';
import type { HostHooks } from '../core/hooks.ts';
import { instantiateCore } from '../core/instance.ts';
import { acquireMemory, Discarder, releaseMemory } from '../core/memory.ts';
import { coreModule } from '../core/module.ts';
import type { DevicePlace } from '../accel/types.ts';
import type { DevicePort, HostDevice, Scratch } from '../devices/device.ts';
import { shareTableBytes } from '../devices/fs/exports.ts';
import type { LinearMemory } from '../host/linear-memory.ts';
import type { MachineTime } from '../time/machine-time.ts';
import type { AccelChoice } from './accelerator.ts';
import type { MachineConfig } from './config.ts';
import { addDevices } from './devices.ts';

const MIB = 1024 ** 2;

/** A machine without a program: its memory, the main thread's core, and the devices in their slots. */
export interface Hardware {
  readonly module: WebAssembly.Module;
  readonly linear: LinearMemory;
  readonly core: CoreExports;
  readonly ramSize: number;
  readonly places: readonly DevicePlace[];
  readonly ports: readonly DevicePort[];
  /** The main thread's scratch area in the linear memory. */
  readonly scratch: Scratch;
  readonly discarder: Discarder;
}

/** What the life that the hardware is for does for it. */
export interface HardwareHost {
  /** What the main thread answers its core, beside giving memory back. */
  hooks(memory: WebAssembly.Memory): Partial<HostHooks>;
  process(slot: number, queue: number): void;
  thread(kind: string, slots: readonly number[], own: unknown, descriptors?: boolean): boolean;
  wake(slot: number): void;
  event(kind: number, a: number, b: bigint): void;
}

/** Makes the machine of a configuration. */
export function buildHardware(config: MachineConfig, choice: AccelChoice, list: readonly HostDevice[], time: MachineTime, host: HardwareHost): Hardware {
  const ramSize = config.memoryMib * MIB;
  const module = coreModule(choice.name === 'kvm' ? 'core-kvm' : 'core');
  const linear = acquireMemory(ramSize, (config.shares?.length ?? 0) > 0 ? shareTableBytes(ramSize) : 0);
  try {
    const { memory } = linear;
    const discarder = new Discarder(linear, ramSize);
    const core = instantiateCore(module, memory, { ...host.hooks(memory), ...(time.discards ? { discard: discarder.discard } : {}) }, time);
    if (core.machine_init(ramSize, config.cpus, choice.machineFlags | (config.exitOnPort ? MACHINE_F_DEBUG_EXIT : 0)) !== 0) {
      throw new VmmError('INTERNAL', `the core refuses a machine of ${config.memoryMib} MiB and ${config.cpus} vCPUs`);
    }
    if (config.trace !== undefined) core.machine_trace(config.trace.mask & ~TRACE_EXEC);
    const offset = SCRATCH_BASE + (VCPU_MAX + 1) * SCRATCH_STRIDE;
    const scratch = { bytes: new Uint8Array(memory.buffer, offset, SCRATCH_STRIDE), offset };
    const ports = list.map((_, slot): DevicePort => ({ core, memory, ramSize, slot, scratch, process: (queue) => host.process(slot, queue), thread: host.thread, wake: host.wake, event: host.event }));
    return { module, linear, core, ramSize, places: addDevices(core, list, ports), ports, scratch, discarder };
  } catch (error) {
    releaseMemory(linear);
    throw error;
  }
}
