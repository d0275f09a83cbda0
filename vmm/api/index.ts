/**
 * The library's face.
 *
 *   import { Machine } from 'vmm';
 *   await using machine = new Machine({ kernel: 'vmlinux', append: 'console=ttyS0', memoryMib: 128, cpus: 1,
 *     accel: 'auto', console: 'serial' }, { console: async (bytes) => { process.stdout.write(bytes); } });
 *   const result = await machine.run({ signal: AbortSignal.timeout(10_000) });
 *
 * Failures to build a machine or a container reject with VmmError (docs/errors.md); what the guest does is a result.
 */
export type { ImageProcessConfig } from '../../image/documents/config.ts';
export { type ResolvedImage, resolveImage } from '../../image/resolve.ts';
export type { ExitStatus } from '../agent/process.ts';
export type { Stream } from '../agent/transport.ts';
export type { ContainerOptions, TmpfsMount } from '../container/options.ts';
export { type ContainerIo, type ContainerMachine, type ContainerResult, ContainerRun } from '../container/run.ts';
export type { DiskSpec } from '../devices/disk.ts';
export { VmmError } from '../../base/errors.ts';
export type { AccelName, MachineConfig } from '../machine/config.ts';
export type { CpuModel } from '../accel/vcpu.ts';
export type { MachineResult } from '../machine/result.ts';
export type { TimelineEntry } from '../machine/timeline.ts';
export { type KvmState, kvmState } from '../machine/accelerator.ts';
export type { CountedConfig } from '../time/counted.ts';
export type { Counts } from '../time/position.ts';
export { InputRecorder, InputReplay } from '../time/input-log.ts';
export { Machine, type MachineListener } from '../machine/machine.ts';
export { Timeline } from '../machine/timeline.ts';
