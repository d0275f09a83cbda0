/** A debugger's door to a machine (MachineConfig.debugger), docs/debugging.md. */
export { type GdbAddress, parseGdbAddress } from '../gdb/address.ts';
export { type GdbOptions, GdbServer } from '../gdb/server.ts';
