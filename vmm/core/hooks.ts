/** The module's imports under `host`, one function each (assembly/core/host.ts). Ranges are offsets into the linear memory. */
import { EAGAIN } from '../../assembly/contract/generated/errno.ts';
export interface HostHooks {
  irq(line: number, level: number): void;
  kick(device: number, queue: number): void;
  blk(disk: number, op: number, offset: number, iov: number, count: number, tag: number): number;
  fs(device: number, tag: number): void;
  net(device: number, op: number, hdr: number, iov: number, count: number, bytes: number): number;
  console(device: number, ptr: number, length: number): number;
  vsock(connection: number, event: number, ptr: number, length: number): void;
  event(kind: number, a: number, b: bigint): void;
  discard(gpa: number, length: number): void;
}

/** A thread that has nothing to do with a hook leaves it away: interrupts and kicks go nowhere, output is dropped, requests wait for their owner. */
const NONE: HostHooks = {
  irq() {},
  kick() {},
  blk: () => -EAGAIN,
  fs() {},
  net: () => -EAGAIN,
  console: (_device, _ptr, length) => length,
  vsock() {},
  event() {},
  discard() {},
};

/** All hooks of one instance: those that its thread answers itself, and nothing for the others. */
export function hostHooks(own: Partial<HostHooks>): HostHooks {
  return { ...NONE, ...own };
}
