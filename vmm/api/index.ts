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
export { VmmError } from '../errors.ts';
export type { AccelName, CpuModel, MachineConfig, MachineResult, TimelineEntry } from '../machine/config.ts';
export { type KvmState, kvmState } from '../machine/accelerator.ts';
export type { CountedConfig, Counts } from '../machine/counted.ts';
export { InputRecorder, InputReplay } from '../machine/input-log.ts';
export { Machine, type MachineListener } from '../machine/machine.ts';
export { Timeline } from '../machine/timeline.ts';
