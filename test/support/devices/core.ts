/**
 * Loads the compiled core for tests: one shared memory, a mock host that checks each range it is given, canaries
 * around guest memory.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RAM_BASE } from '../../../assembly/core/layout.ts';
import { buildCore } from '../../../scripts/build-core.mjs';
import { root } from '../../../scripts/lib.mjs';

export const HOST_PENDING = -0x7000_0000;
export const HOST_KICK_DEVICE = 0xffff;
export const HOST_SERIAL = 0x100;
export const HOST_NET_SEND = 0;
export const HOST_NET_RECEIVE = 1;
export const HOST_NET_RECEIVE_LAST = 2;
export const HOST_NET_OFFLOADS = 3;
const CANARY = 0xa5;
const CANARY_BYTES = 0x1_0000;
const CANARY_PAGE = Buffer.alloc(CANARY_BYTES, CANARY);
const WASM_PAGE = 0x1_0000;

type Num = (...args: number[]) => number;
/** The exports with numbers for arguments and results; those with u64 use bigint. */
export type CoreExports = Record<string, Num> & {
  bus_mmio_read: (gpa: bigint, size: number) => bigint;
  bus_mmio_write: (gpa: bigint, size: number, value: bigint) => void;
};

export interface BlkCall {
  disk: number;
  op: number;
  offset: number;
  iov: { ptr: number; len: number }[];
  tag: number;
}

export interface NetCall {
  device: number;
  op: number;
  hdr: number;
  iov: { ptr: number; len: number }[];
  bytes: number;
}

export interface VsockEvent {
  conn: number;
  event: number;
  ptr: number;
  len: number;
  data: Buffer;
}

/** What the core asks of its host. Tests replace single functions; all calls are kept. */
export class MockHost {
  readonly irqs: number[] = [];
  readonly kicks: { device: number; queue: number }[] = [];
  readonly events: { kind: number; a: number; b: bigint }[] = [];
  readonly discards: { gpa: number; len: number }[] = [];
  readonly blkCalls: BlkCall[] = [];
  readonly vsockEvents: VsockEvent[] = [];
  readonly fsCalls: { device: number; tag: number }[] = [];
  readonly output = new Map<number, Buffer[]>();
  /** Ranges that were not in guest memory (nor, for console and tables, in the core's state). */
  readonly violations: string[] = [];
  /** Frames of the guest's, with their headers. */
  readonly sent: { hdr: Buffer; frame: Buffer }[] = [];
  /** Frames for the guest; a header of zeros when there is none. */
  readonly arriving: { hdr?: Buffer; frame: Buffer }[] = [];
  readonly netCalls: NetCall[] = [];
  disks: Buffer[] = [];
  wall = 1_700_000_000e9;
  randomByte = 0x5a;
  /** Runs the queue as soon as it is rung, as a host with one thread does. */
  inline = true;
  /** Called before each run of a queue. */
  onRun: (() => void) | undefined;
  onBlk: ((call: BlkCall) => number) | undefined;
  onNet: ((call: NetCall) => number | undefined) | undefined;
  onConsole: ((device: number, bytes: Buffer) => number) | undefined;
  /** Works on a request of a file system; the test ends it by fs_complete, after the call. */
  onFs: ((device: number, tag: number) => void) | undefined;
  onVsock: ((event: VsockEvent) => void) | undefined;

  consoleText(device: number): string {
    return Buffer.concat(this.output.get(device) ?? []).toString('latin1');
  }

  clear(): void {
    for (const list of [this.irqs, this.kicks, this.events, this.discards, this.blkCalls, this.vsockEvents, this.fsCalls, this.violations, this.sent, this.arriving, this.netCalls]) list.length = 0;
    this.output.clear();
  }
}

let compiled: WebAssembly.Module | undefined;

/** VMM_CORE_WASM names a module that is built already: for work on tests while the sources change. */
function moduleOf(): WebAssembly.Module {
  if (!compiled) {
    const built = process.env.VMM_CORE_WASM;
    if (built === undefined) buildCore();
    compiled = new WebAssembly.Module(readFileSync(built ?? join(root, 'dist', 'core.wasm')));
  }
  return compiled;
}

export interface LoadOptions {
  ramMib?: number;
  vcpus?: number;
  flags?: number;
  /** Bytes behind guest memory and its canary, for devices: a multiple of 65536. */
  behind?: number;
  /** Replaces imports by name ("irq", "blk" …). */
  imports?: Record<string, (...args: never[]) => unknown>;
}

export class Core {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly x: CoreExports;
  readonly host = new MockHost();
  readonly ramBytes: number;

  constructor(options: LoadOptions = {}) {
    this.ramBytes = (options.ramMib ?? 4) * 1024 * 1024;
    const pages = (RAM_BASE + this.ramBytes + CANARY_BYTES + (options.behind ?? 0)) / WASM_PAGE;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: 65536, shared: true });
    this.bytes = new Uint8Array(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
    const imports = { ...this.imports(), ...options.imports };
    this.x = new WebAssembly.Instance(moduleOf(), { env: { memory: this.memory }, host: imports }).exports as CoreExports;
    this.restart(options.vcpus ?? 1, options.flags ?? 0);
  }

  /** A new machine in the same memory: memories of this size are not collected in time when each test makes one. */
  restart(vcpus = 1, flags = 0): void {
    this.bytes.fill(0, 0, 0x0010_0000);
    this.restartKeeping(vcpus, flags);
  }

  /** As `restart` for callers that have cleared the states of the devices they use. */
  restartKeeping(vcpus = 1, flags = 0): void {
    this.bytes.fill(0, RAM_BASE, RAM_BASE + this.ramBytes);
    this.bytes.fill(0, 0x0110_0000, 0x0110_0000 + 0x2_0000);
    this.bytes.fill(CANARY, RAM_BASE - CANARY_BYTES, RAM_BASE);
    this.bytes.fill(CANARY, RAM_BASE + this.ramBytes, RAM_BASE + this.ramBytes + CANARY_BYTES);
    this.host.clear();
    this.host.onBlk = undefined;
    this.host.onNet = undefined;
    this.host.onConsole = undefined;
    this.host.onVsock = undefined;
    this.host.onFs = undefined;
    this.host.inline = true;
    this.host.onRun = undefined;
    const result = this.x.machine_init!(this.ramBytes, vcpus, flags);
    if (result !== 0) throw new Error(`machine_init: ${result}`);
  }

  /** True while nothing has written outside guest memory. */
  canariesIntact(): boolean {
    const same = (from: number) => Buffer.compare(this.bytes.subarray(from, from + CANARY_BYTES), CANARY_PAGE) === 0;
    return same(RAM_BASE - CANARY_BYTES) && same(RAM_BASE + this.ramBytes);
  }

  /** Bytes of guest memory. */
  guest(gpa: number, len: number): Buffer {
    return Buffer.from(this.bytes.subarray(RAM_BASE + gpa, RAM_BASE + gpa + len));
  }

  /** Puts bytes where the host may hand them to the core: the main thread's scratch. */
  scratch(bytes: Uint8Array): number {
    const at = 0x0030_0000 + 33 * 0x1_0000;
    this.bytes.set(bytes, at);
    return at;
  }

  /** Is the guest page marked as written? Clears the mark's word. */
  takeDirty(gpa: number): boolean {
    const page = gpa >>> 12;
    return ((this.x.guest_dirty_take!(page >>> 5) >>> (page & 31)) & 1) === 1;
  }

  private check(what: string, ptr: number, len: number, orState = false): void {
    const inGuest = ptr >= RAM_BASE && ptr + len <= RAM_BASE + this.ramBytes;
    const inState = orState && ptr >= 0x1000 && ptr + len <= RAM_BASE - CANARY_BYTES;
    if (!inGuest && !inState) this.host.violations.push(`${what} ${ptr.toString(16)}+${len}`);
  }

  private imports(): Record<string, (...args: never[]) => unknown> {
    const host = this.host;
    return {
      irq: (line: number, level: number) => {
        if (level === 1) host.irqs.push(line);
      },
      kick: (device: number, queue: number) => {
        host.kicks.push({ device, queue });
        if (host.inline) this.process(device, queue);
      },
      blk: (disk: number, op: number, offset: bigint, iov: number, count: number, tag: number) => {
        this.check('iov', iov >>> 0, count * 8, true);
        const call: BlkCall = { disk, op: op >>> 0, offset: Number(offset), iov: [], tag };
        for (let i = 0; i < count; i++) {
          call.iov.push({ ptr: this.view.getUint32((iov >>> 0) + i * 8, true), len: this.view.getUint32((iov >>> 0) + i * 8 + 4, true) });
        }
        if ((op & 0xff) < 4) for (const { ptr, len } of call.iov) this.check('blk', ptr, len);
        host.blkCalls.push(call);
        return host.onBlk ? host.onBlk(call) : this.diskOperation(call);
      },
      fs: (device: number, tag: number) => {
        host.fsCalls.push({ device: device >>> 0, tag: tag >>> 0 });
        host.onFs?.(device >>> 0, tag >>> 0);
      },
      net: (device: number, op: number, hdr: number, iov: number, count: number, bytes: number) => {
        const call: NetCall = { device, op, hdr: hdr >>> 0, iov: [], bytes: bytes >>> 0 };
        if (op !== HOST_NET_OFFLOADS) {
          this.check('net iov', iov >>> 0, count * 8, true);
          if (call.hdr < 0x1_0000 || call.hdr + 12 > 0x9_0000) host.violations.push(`net hdr ${call.hdr.toString(16)}`);
          for (let i = 0; i < count; i++) call.iov.push({ ptr: this.view.getUint32((iov >>> 0) + i * 8, true), len: this.view.getUint32((iov >>> 0) + i * 8 + 4, true) });
          for (const { ptr, len } of call.iov) this.check('net', ptr, len);
        }
        host.netCalls.push(call);
        return host.onNet?.(call) ?? this.netOperation(call);
      },
      console: (device: number, ptr: number, len: number) => {
        this.check('console', ptr >>> 0, len >>> 0, true);
        const bytes = Buffer.from(this.bytes.subarray(ptr >>> 0, (ptr >>> 0) + (len >>> 0)));
        const taken = host.onConsole ? host.onConsole(device, bytes) : bytes.length;
        const list = host.output.get(device) ?? [];
        list.push(bytes.subarray(0, taken));
        host.output.set(device, list);
        return taken;
      },
      vsock: (conn: number, event: number, ptr: number, len: number) => {
        if (event === 3) this.check('vsock', ptr >>> 0, len >>> 0);
        const data = event === 3 ? Buffer.from(this.bytes.subarray(ptr >>> 0, (ptr >>> 0) + (len >>> 0))) : Buffer.alloc(0);
        const entry = { conn, event, ptr: ptr >>> 0, len: len >>> 0, data };
        host.vsockEvents.push(entry);
        host.onVsock?.(entry);
      },
      event: (kind: number, a: number, b: bigint) => {
        host.events.push({ kind, a: a >>> 0, b });
      },
      discard: (gpa: number, len: number) => {
        this.check('discard', RAM_BASE + gpa, len);
        host.discards.push({ gpa, len });
        this.bytes.fill(0, RAM_BASE + gpa, RAM_BASE + gpa + len);
      },
      random: (ptr: number, len: number) => {
        this.check('random', ptr >>> 0, len >>> 0);
        this.bytes.fill(host.randomByte, ptr >>> 0, (ptr >>> 0) + (len >>> 0));
      },
      now: () => performance.now() * 1e6,
      wall: () => host.wall,
    };
  }

  /** As the owner of the device does it: until nothing is left. */
  process(device: number, queue: number): void {
    for (let i = 0; i < 1000; i++) {
      this.host.onRun?.();
      if (this.x.device_process!(device, queue) !== 1) return;
    }
    throw new Error(`device ${device}: queue ${queue} never ends`);
  }

  /** A host whose link takes all frames at once. */
  private netOperation(call: NetCall): number {
    const { host } = this;
    if (call.op === HOST_NET_SEND) {
      const frame = Buffer.concat(call.iov.map(({ ptr, len }) => Buffer.from(this.bytes.subarray(ptr, ptr + len))));
      host.sent.push({ hdr: Buffer.from(this.bytes.subarray(call.hdr, call.hdr + 12)), frame });
      return frame.length;
    }
    if (call.op === HOST_NET_OFFLOADS) return 0;
    for (;;) {
      const next = host.arriving[0];
      if (next === undefined) return 0;
      if (next.frame.length > call.bytes) {
        if (call.op === HOST_NET_RECEIVE) return -105;
        host.arriving.shift();
        continue;
      }
      host.arriving.shift();
      let at = 0;
      for (const { ptr, len } of call.iov) {
        const part = next.frame.subarray(at, at + len);
        this.bytes.set(part, ptr);
        at += part.length;
      }
      this.bytes.set(next.hdr ?? Buffer.alloc(12), call.hdr);
      return next.frame.length;
    }
  }

  private diskOperation(call: BlkCall): number {
    const disk = this.host.disks[call.disk];
    if (!disk) return -5;
    const op = call.op & 0xff;
    let at = call.offset;
    let done = 0;
    if (op === 11 || op === 13) {
      if (op === 13) disk.fill(0, at, at + call.iov[0]!.len);
      return 0;
    }
    for (const { ptr, len } of call.iov) {
      if (op === 0) this.bytes.set(disk.subarray(at, at + len), ptr);
      else disk.set(this.bytes.subarray(ptr, ptr + len), at);
      at += len;
      done += len;
    }
    return done;
  }
}

export function loadCore(options: LoadOptions = {}): Core {
  return new Core(options);
}
