import { type Clocks, hostClocks } from '../time/clocks.ts';
import type { CoreExports } from './exports.ts';
import { type HostHooks, hostHooks } from './hooks.ts';

/** Makes this thread's instance of the core over a machine's memory. State is in the memory, so instances are interchangeable. `own`: the hooks that this thread answers. */
export function instantiateCore(module: WebAssembly.Module, memory: WebAssembly.Memory, own: Partial<HostHooks>, clocks: Clocks = hostClocks()): CoreExports {
  const hooks = hostHooks(own);
  const bytes = new Uint8Array(memory.buffer);
  const u32 = (n: number): number => n >>> 0;
  const instance = new WebAssembly.Instance(module, {
    env: {
      memory,
      abort: (_message: number, _file: number, line: number, column: number) => {
        throw new Error(`the core's assertion at line ${line}, column ${column} failed`);
      },
    },
    host: {
      irq: (line: number, level: number) => hooks.irq(u32(line), level),
      kick: (device: number, queue: number) => hooks.kick(u32(device), u32(queue)),
      blk: (disk: number, op: number, offset: bigint, iov: number, count: number, tag: number) => hooks.blk(u32(disk), u32(op), Number(offset), u32(iov), u32(count), u32(tag)),
      fs: (device: number, tag: number) => hooks.fs(u32(device), u32(tag)),
      net: (device: number, op: number, hdr: number, iov: number, count: number, bytes: number) => hooks.net(u32(device), u32(op), u32(hdr), u32(iov), u32(count), u32(bytes)),
      console: (device: number, ptr: number, length: number) => hooks.console(u32(device), u32(ptr), u32(length)),
      vsock: (connection: number, event: number, ptr: number, length: number) => hooks.vsock(u32(connection), u32(event), u32(ptr), u32(length)),
      event: (kind: number, a: number, b: bigint) => hooks.event(u32(kind), u32(a), BigInt.asUintN(64, b)),
      discard: (gpa: number, length: number) => hooks.discard(gpa, length),
      random: (ptr: number, length: number) => {
        bytes.set(clocks.random(u32(length)), u32(ptr));
      },
      now: () => clocks.now(),
      wall: () => clocks.wall(),
    },
  });
  return instance.exports as unknown as CoreExports;
}
