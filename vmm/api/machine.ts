/** Machines: any kernel, its disks, its console. */
export { nameAddresses, readSymbols, type SymbolNames } from '../boot/symbols.ts';
export { namedLines, ownSymbols, symbolsFrom } from '../guest/symbols.ts';
export { type GuestFile, guestFile, guestFilesNote } from '../guest/files.ts';
export type { DiskSpec } from '../devices/disk/open.ts';
export type { ShareExport, ShareSpec } from '../devices/fs/exports.ts';
export type { CableSpec, CardSpec } from '../devices/net/spec.ts';
export type { NetBackend, NetEvents } from '../devices/net/backend.ts';
export type { Frame } from '../devices/net/frames.ts';
export { type KvmState, kvmState, needsHardware } from '../machine/accelerator.ts';
export { type CpuModel, SOFTWARE_MODEL } from '../accel/vcpu.ts';
export { cpuLevel } from '../accel/levels.ts';
export type { AccelName, ConfineConfig, MachineConfig, TraceConfig } from '../machine/config.ts';
export type { MachineResult } from '../machine/result.ts';
export type { MachineDebugger } from '../machine/debugger.ts';
export { Machine, type MachineListener } from '../machine/machine.ts';
export * from './status.ts';
export { KERNEL_LOADED, Timeline, type TimelineEntry } from '../machine/timeline.ts';
export { openTrace, traceMask } from '../core/trace.ts';
