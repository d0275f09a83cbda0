import { readFileSync } from 'node:fs';
import { VmmError } from '../errors.ts';
import { hostRandom } from '../host/random.ts';
import type { CoreExports } from './core-exports.ts';

export type { CoreExports };

/** The module's imports under `host`, one function each (assembly/core/host.ts). Ranges are offsets into the linear memory. */
export interface HostHooks {
  irq(line: number, level: number): void;
  kick(device: number, queue: number): void;
  blk(disk: number, op: number, offset: number, iov: number, count: number, tag: number): number;
  console(device: number, ptr: number, length: number): number;
  vsock(connection: number, event: number, ptr: number, length: number): void;
  event(kind: number, a: number, b: bigint): void;
  discard(gpa: number, length: number): void;
}

/** What each kind of clock says; virtual in a counted run. */
export interface Clocks {
  /** Monotonic nanoseconds, the same in all threads. */
  now(): number;
  /** Nanoseconds since the epoch. */
  wall(): number;
}

/** CLOCK_MONOTONIC in nanoseconds as a double: `performance.now()` counts from another point in each thread. */
export function hostClocks(): Clocks {
  const [seconds, nanos] = process.hrtime();
  const origin = seconds * 1e9 + nanos - performance.now() * 1e6;
  return {
    now: () => performance.now() * 1e6 + origin,
    wall: () => Date.now() * 1e6,
  };
}

/** `core-kvm` has no CPU: an eighth of the size, and of the time to compile it. */
export type CoreName = 'core' | 'core-kvm';

const compiled = new Map<CoreName, WebAssembly.Module>();

/** The compiled core, dist/NAME.wasm beside this bundle; compiled once a process. */
export function coreModule(name: CoreName = 'core'): WebAssembly.Module {
  let module = compiled.get(name);
  if (module === undefined) {
    try {
      module = new WebAssembly.Module(readFileSync(new URL(`./${name}.wasm`, import.meta.url)));
    } catch (cause) {
      throw new VmmError('NOT_BUILT', `dist/${name}.wasm cannot be loaded`, { cause, hint: 'run `npm run setup` in the checkout' });
    }
    compiled.set(name, module);
  }
  return module;
}

/** Makes this thread's instance of the core over a machine's memory. State is in the memory, so instances are interchangeable. */
export function instantiateCore(module: WebAssembly.Module, memory: WebAssembly.Memory, hooks: HostHooks, clocks: Clocks = hostClocks(), random: (length: number) => Uint8Array = hostRandom): CoreExports {
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
      console: (device: number, ptr: number, length: number) => hooks.console(u32(device), u32(ptr), u32(length)),
      vsock: (connection: number, event: number, ptr: number, length: number) => hooks.vsock(u32(connection), u32(event), u32(ptr), u32(length)),
      event: (kind: number, a: number, b: bigint) => hooks.event(u32(kind), u32(a), BigInt.asUintN(64, b)),
      discard: (gpa: number, length: number) => hooks.discard(gpa, length),
      random: (ptr: number, length: number) => {
        bytes.set(random(u32(length)), u32(ptr));
      },
      now: () => clocks.now(),
      wall: () => clocks.wall(),
    },
  });
  return instance.exports as unknown as CoreExports;
}
