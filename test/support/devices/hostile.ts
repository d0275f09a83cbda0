/**
 * A hostile driver: a list of numbers is read as a program of register writes, descriptors, ring indices and host
 * calls against one device. Whatever it does, the core must not trap, reach outside guest memory, change another
 * device, or work without bound.
 */
import { DEVICE_BASE, DEVICE_STRIDE, IRQCHIP_BASE, IRQCHIP_SIZE, RAM_BASE, VIRTIO_MMIO_GPA, VIRTIO_MMIO_STRIDE, VSOCK_BASE, VSOCK_SIZE } from '../../../assembly/core/layout.ts';
import { type Core, HOST_NET_OFFLOADS, HOST_NET_RECEIVE, HOST_NET_SEND, HOST_PENDING, loadCore } from './core.ts';

export const DEVICES = ['blk', 'net', 'console', 'vsock', 'rng', 'balloon'] as const;
export type DeviceName = (typeof DEVICES)[number];

const SLOT = 6;
const WITNESS = 18;
const RAM_MIB = 0.25;
const QUEUES: Record<DeviceName, number> = { blk: 4, net: 3, console: 2, vsock: 3, rng: 1, balloon: 5 };
/** Most calls of the host that one run of one queue may make: chains × pieces, or the device's own budget. */
const CALLS_PER_RUN = 70_000;
const RING_AREA = 0x1000;
const RING_BYTES = 0x4000;
/** Guest memory that rings and buffers live in. */
const ALL = RAM_MIB * 1024 * 1024;
const NOTIFY = 0x50;
const STATUS = 0x70;
const REGISTERS = [0x14, 0x20, 0x24, 0x30, 0x38, 0x44, NOTIFY, 0x64, STATUS, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xac, 0xc0, 0x100, 0x104, 0x108, 0x120];

export class Hostile {
  readonly core: Core;
  readonly name: DeviceName;
  private program: readonly number[] = [];
  private at = 0;
  private calls = 0;
  private tags: number[] = [];
  private conns: number[] = [];
  private readonly baseline: Uint8Array[];
  private sizes: number[] = [];

  constructor(name: DeviceName) {
    this.name = name;
    const count = () => {
      if (++this.calls > CALLS_PER_RUN) throw new Error('the device calls the host without bound');
      this.scribble();
    };
    this.core = loadCore({ ramMib: RAM_MIB });
    this.core.restart();
    this.add();
    this.baseline = this.others().map((part) => Uint8Array.from(part));
    const { host } = this.core;
    // The guest writes to its rings while the device works: each call of the host is a moment for it.
    this.onHost = () => {
      host.onConsole = (_device, bytes) => {
        count();
        return this.next() % (bytes.length + 1);
      };
      host.onVsock = ({ conn, event, len }) => {
        count();
        if (event === 1) this.conns.push(conn);
        const what = this.next() % 6;
        if (event === 1 && what !== 0) this.core.x.vsock_accept!(conn);
        if (event === 3 && what < 3) this.core.x.vsock_consumed!(conn, len);
        if (what === 4) this.core.x.vsock_reset!(conn);
        if (what === 5) this.core.x.vsock_send!(conn, this.core.scratch(Buffer.alloc(100)), 100);
      };
      host.onNet = (call) => {
        if (call.op === HOST_NET_OFFLOADS) return 0;
        count();
        const n = this.next();
        if (call.op === HOST_NET_SEND) return n % 5 === 0 ? -11 : n % 7 === 0 ? -5 : call.bytes;
        if (n % 3 === 0) return 0;
        if (n % 7 === 0 && call.op === HOST_NET_RECEIVE) return -105;
        // A frame with any header: also one that is longer than there is room, which a host has no business to give.
        const length = n % 11 === 0 ? call.bytes + 1 : Math.min(call.bytes, n % 13 === 0 ? call.bytes : (n >>> 8) % 2000);
        for (let i = 0; i < 12; i++) this.core.bytes[call.hdr + i] = n % 4 === 0 ? this.next() : 0;
        const first = call.iov[0];
        if (first !== undefined) this.core.bytes.fill(n % 2 === 0 ? 0xff : n, first.ptr, first.ptr + Math.min(first.len, 16));
        return length;
      };
      host.onBlk = (call) => {
        count();
        const what = this.next() % 4;
        if (what === 0) {
          this.tags.push(call.tag);
          return HOST_PENDING;
        }
        const bytes = call.iov.reduce((sum, { len }) => sum + len, 0);
        return what === 1 ? -5 : what === 2 ? bytes : bytes >> 1;
      };
    };
  }

  private readonly onHost: () => void;

  private next(): number {
    return this.at < this.program.length ? this.program[this.at++]! : 0;
  }

  private done(): boolean {
    return this.at >= this.program.length;
  }

  /** A guest physical address, most often a good one. */
  private address(): bigint {
    const n = this.next();
    switch (n % 10) {
      case 0:
        return BigInt(ALL - (n >>> 8) % 64);
      case 1:
        return (BigInt(this.next()) << 32n) | BigInt(n);
      case 2:
        return 0xffff_ffff_ffff_ffffn - BigInt((n >>> 8) % 4096);
      case 3:
        return BigInt(RING_AREA + ((n >>> 4) % RING_BYTES));
      default:
        return BigInt((n >>> 4) % ALL) & ~15n;
    }
  }

  /** Where a buffer of `len` bytes fits; now and then anywhere. */
  private place(len: number): bigint {
    const n = this.next();
    return n % 24 === 0 ? this.address() : BigInt(0x8000 + ((n >>> 5) % Math.max(ALL - 0x8000 - len, 1)));
  }

  private length(): number {
    const n = this.next();
    switch (n % 8) {
      case 0:
        return 0;
      case 1:
        return n;
      case 2:
        return ALL - ((n >>> 8) % 32);
      case 3:
        return 1 + ((n >>> 8) % 64);
      case 4:
        return 16 * (1 + ((n >>> 8) % 32));
      case 5:
        return 513;
      default:
        return (n >>> 8) % 8192;
    }
  }

  private register(offset: number, value: number, size = 4): void {
    this.core.x.bus_mmio_write(BigInt(VIRTIO_MMIO_GPA + SLOT * VIRTIO_MMIO_STRIDE + offset), size, BigInt(value >>> 0));
  }

  /** A guest that changes its memory under the device. */
  private scribble(): void {
    const n = this.program.length === 0 ? 0 : this.program[(this.at + this.calls) % this.program.length]!;
    if (n % 3 !== 0) return;
    this.core.view.setUint32(RAM_BASE + RING_AREA + ((n >>> 3) % (RING_BYTES - 4)), n, true);
  }

  private ring(queue: number): number {
    return RING_AREA + queue * 0x800;
  }

  /** A device that works: features, queues, DRIVER_OK. */
  private setUp(): void {
    const n = this.next();
    this.register(STATUS, 0);
    this.core.bytes.fill(0, RAM_BASE + RING_AREA, RAM_BASE + RING_AREA + RING_BYTES);
    this.register(STATUS, 3);
    this.register(0x24, 0);
    this.register(0x20, n % 5 === 0 ? this.next() : n % 3 === 0 ? 0x3000_ffff & this.offered(0) : this.offered(0) & (n | 0x3000_0000));
    this.register(0x24, 1);
    this.register(0x20, 1 | (this.offered(1) & (n >>> 3)));
    this.register(STATUS, 11);
    for (let queue = 0; queue < QUEUES[this.name]; queue++) {
      const bad = this.next() % 16 === 1;
      const size = bad ? this.next() % 1000 : 1 << ((n >>> queue) % 4 === 0 ? 1 + (n >>> 8) % 6 : 5);
      this.sizes[queue] = size;
      this.register(0x30, queue);
      this.register(0x38, size);
      const at = this.ring(queue);
      const places = bad ? [this.address(), this.address(), this.address()] : [BigInt(at), BigInt(at + 0x400), BigInt(at + 0x500)];
      for (const [i, place] of places.entries()) {
        this.register(0x80 + i * 16, Number(place & 0xffff_ffffn));
        this.register(0x84 + i * 16, Number(place >> 32n));
      }
      this.register(0x44, 1);
    }
    this.register(STATUS, 15);
  }

  private offered(word: number): number {
    this.register(0x14, word);
    return Number(this.core.x.bus_mmio_read(BigInt(VIRTIO_MMIO_GPA + SLOT * VIRTIO_MMIO_STRIDE + 0x10), 4) & 0xffff_ffffn);
  }

  /** One step of the program. */
  private step(): void {
    const { core } = this;
    const n = this.next();
    const queue = (n >>> 8) % QUEUES[this.name];
    const ring = this.ring(queue);
    if (core.x.bus_mmio_read(BigInt(VIRTIO_MMIO_GPA + SLOT * VIRTIO_MMIO_STRIDE + STATUS), 4) !== 15n && n & 0x8000_0000) {
      this.setUp();
      return;
    }
    switch (n % 24) {
      case 0:
        this.register(REGISTERS[(n >>> 5) % REGISTERS.length]!, this.next());
        break;
      case 1:
        this.register((n >>> 5) % 0x140, this.next(), [1, 2, 4, 8][(n >>> 14) % 4]!);
        break;
      case 2:
        this.descriptor(queue, (n >>> 12) % 32);
        break;
      case 3: {
        const at = RAM_BASE + ring + 0x400;
        const idx = core.view.getUint16(at + 2, true);
        core.view.setUint16(at + 4 + (idx % 64) * 2, (n >>> 12) % 33, true);
        core.view.setUint16(at + 2, n & 0x100_0000 ? n >>> 16 : (idx + 1) & 0xffff, true);
        this.register(NOTIFY, queue);
        break;
      }
      case 4:
        this.register(NOTIFY, queue);
        break;
      case 5:
        core.x.device_quiesce!(SLOT);
        core.x.device_resume!(SLOT);
        core.x.device_poll!(SLOT);
        if (n & 0x1000) core.x.device_polled!(SLOT, (n >>> 13) & 1);
        if (core.x.device_waiting!(SLOT) !== 0) core.x.device_process!(SLOT, queue);
        break;
      case 6:
        core.view.setUint16(RAM_BASE + ring + 0x400, n >>> 16, true); // flags of the available ring
        core.view.setUint16(RAM_BASE + ring + 0x404 + 2 * this.sizes[queue]!, n >>> 12, true); // used_event
        break;
      case 7:
      case 8:
      case 9:
      case 10:
      case 11:
      case 12:
        this.hostCall(n);
        break;
      default:
        this.request(queue, n);
    }
  }

  /** A descriptor of any content. */
  private descriptor(queue: number, index: number): void {
    const { view } = this.core;
    const at = RAM_BASE + this.ring(queue) + index * 16;
    view.setBigUint64(at, this.address(), true);
    view.setUint32(at + 8, this.length(), true);
    const flags = this.next();
    view.setUint16(at + 12, flags % 7 === 0 ? flags >>> 16 : [0, 1, 2, 3, 4, 1, 3][flags % 7]!, true);
    view.setUint16(at + 14, flags % 5 === 0 ? flags >>> 8 : (index + 1) % 32, true);
  }

  /** What a chain of this device and queue should look like: pieces that are readable (false) or writable. */
  private pieces(queue: number, n: number): { gpa: bigint; len: number; write: boolean }[] {
    const buffer = (len: number, write: boolean) => ({ gpa: this.place(len), len, write });
    const small = 1 + (n >>> 12) % 5000;
    switch (this.name) {
      case 'blk': {
        const head = { gpa: BigInt(this.header()), len: 16, write: false };
        const status = buffer(1, true);
        const write = (this.core.view.getUint32(RAM_BASE + Number(head.gpa), true) & 0xd) === 0 || (n & 0x40_0000) !== 0;
        const data = buffer(n & 0x10_0000 ? 512 * ((n >>> 12) % 20) : n & 0x20_0000 ? 16 : small, write);
        return n & 0x80_0000 ? [head, data, buffer(512, write), status] : [head, data, status];
      }
      case 'net': {
        if (queue === 0) return n & 0x10_0000 ? [buffer(12 + small, true)] : [buffer(12, true), buffer(small, true)];
        const gpa = this.header();
        if (queue === 1) return [{ gpa: BigInt(gpa), len: 12, write: false }, buffer(n & 0x10_0000 ? this.length() : small, false)];
        return [{ gpa: BigInt(gpa), len: 2, write: false }, { gpa: BigInt(gpa + 2), len: (n & 0x10_0000 ? small : [1, 2, 6, 8, 20][small % 5]) as number, write: false }, buffer(1, true)];
      }
      case 'console':
        return [buffer(small, queue === 0), buffer(small, queue === 0)];
      case 'vsock': {
        if (queue !== 1) return [buffer(n & 0x10_0000 ? small : 44 + small, true)];
        const gpa = this.header();
        return [{ gpa: BigInt(gpa), len: 44, write: false }, buffer(Math.max(this.core.view.getUint32(RAM_BASE + gpa + 24, true) % 70_000, 1), false)];
      }
      case 'rng':
        return [buffer(small, true)];
      default:
        if (queue >= 3) return [buffer(small * 16, true), buffer(small, true)];
        return [buffer(queue === 2 ? 10 * (small % 30) : 4 * (small % 1100), false)];
    }
  }

  /** A good request, in one of four cases with one thing wrong. */
  private request(queue: number, n: number): void {
    const { view } = this.core;
    const ring = this.ring(queue);
    const size = Math.max(this.sizes[queue] ?? 1, 1);
    const at = RAM_BASE + ring + 0x400;
    const idx = view.getUint16(at + 2, true);
    const pieces = this.pieces(queue, n);
    const indirect = (n & 0x4000_0000) !== 0;
    const head = (idx * 4) % size;
    const table = indirect ? RAM_BASE + 0x5000 + (idx % 16) * 128 : RAM_BASE + ring;
    const index = (i: number) => (indirect ? i : (head + i) % size);
    for (const [i, { gpa, len, write }] of pieces.entries()) {
      const d = table + index(i) * 16;
      view.setBigUint64(d, gpa, true);
      view.setUint32(d + 8, len, true);
      view.setUint16(d + 12, (write ? 2 : 0) | (i + 1 < pieces.length ? 1 : 0), true);
      view.setUint16(d + 14, index(i + 1), true);
    }
    if (indirect) {
      const d = RAM_BASE + ring + head * 16;
      view.setBigUint64(d, BigInt(table - RAM_BASE), true);
      view.setUint32(d + 8, pieces.length * 16, true);
      view.setUint16(d + 12, 4, true);
    }
    if (n % 4 === 1) this.descriptor(queue, index((n >>> 5) % pieces.length));
    view.setUint16(at + 4 + (idx % size) * 2, head, true);
    view.setUint16(at + 2, (idx + 1) & 0xffff, true);
    if (n % 3 !== 0) this.register(NOTIFY, queue);
  }

  /** Writes a request header of the device, mostly a sensible one; where it lies. */
  private header(): number {
    const { view } = this.core;
    const n = this.next();
    const gpa = 0x6000 + (n % 64) * 64;
    const at = RAM_BASE + gpa;
    const wild = (every: number) => (n >>> 7) % every === 0;
    if (this.name === 'net') {
      // As a header of a frame, and as a command.
      const [flags, gso] = n & 0x1_0000 ? [(n >>> 12) % 7, (n >>> 16) % 6] : [(n >>> 10) % 2, [0, 1, 4, 5, 0x81][(n >>> 11) % 5] as number];
      view.setUint8(at, flags);
      view.setUint8(at + 1, gso);
      view.setUint16(at + 2, wild(5) ? n : 54, true);
      view.setUint16(at + 4, wild(7) ? n : 1448, true);
      view.setUint16(at + 6, wild(3) ? n >>> 4 : 34, true);
      view.setUint16(at + 8, wild(4) ? n >>> 6 : 16, true);
      view.setUint32(at + 10, n >>> 8, true);
    } else if (this.name === 'vsock') {
      const op = [1, 5, 5, 5, 5, 4, 6, 7, 3, 2, 0, 9][(n >>> 10) % 12]!;
      view.setBigUint64(at, wild(31) ? BigInt(n) : 3n, true);
      view.setBigUint64(at + 8, wild(29) ? BigInt(n) : 2n, true);
      view.setUint32(at + 16, (n >>> 14) % 3, true);
      view.setUint32(at + 20, wild(13) ? 0x8000_0000 + (n % 4) : 1024, true);
      view.setUint32(at + 24, op === 5 ? (wild(9) ? this.length() : this.next() % 20_000) : 0, true);
      view.setUint16(at + 28, wild(23) ? n : 1, true);
      view.setUint16(at + 30, op, true);
      view.setUint32(at + 32, n >>> 3, true);
      view.setUint32(at + 36, wild(5) ? n : 65536, true);
      view.setUint32(at + 40, wild(6) ? n : 0, true);
    } else {
      view.setUint32(at, wild(12) ? n : [0, 1, 4, 8, 11, 13][(n >>> 10) % 6]!, true);
      view.setBigUint64(at + 8, wild(9) ? BigInt(n) << 20n : BigInt(n % 4200), true);
      view.setUint32(at + 16, n % 4096, true); // a range of DISCARD and WRITE_ZEROES, when the data begins here
    }
    return gpa;
  }

  private hostCall(n: number): void {
    const { x } = this.core;
    const bytes = (size: number) => this.core.scratch(Buffer.alloc(size, n));
    switch (this.name) {
      case 'blk':
        if ((n >>> 4) % 3 === 0) x.blk_set_capacity!(SLOT, this.next());
        else x.blk_complete!(SLOT, this.tags.length > 0 && n & 0x100 ? this.tags.shift()! : (n >>> 9) % 300, (n >>> 12) % 3 === 0 ? -5 : this.length() & 0x7fff_ffff);
        break;
      case 'net':
        if (n & 0x10) x.net_link!(SLOT, (n >>> 8) % 4);
        else x.device_process!(SLOT, (n >>> 8) % 3);
        break;
      case 'console':
        if (n & 0x10) x.console_input!(SLOT, bytes((n >>> 8) % 2000), (n >>> 8) % 2000);
        else if (n & 0x20) x.console_drained!(SLOT);
        else x.console_resize!(SLOT, n & 0xffff, n >>> 16);
        break;
      case 'vsock': {
        const conn = this.conns.length > 0 && n & 0x1000 ? this.conns[(n >>> 13) % this.conns.length]! : this.next();
        switch ((n >>> 4) % 9) {
          case 0: {
            const made = x.vsock_connect!((n >>> 8) % 4);
            if (made > 0) this.conns.push(made);
            break;
          }
          case 1:
          case 2:
            x.vsock_send!(conn, bytes((n >>> 8) % 5000), (n >>> 8) % 5000);
            break;
          case 3: {
            const pieces = x.vsock_rx_begin!(conn, this.length());
            const table = x.vsock_rx_table!() >>> 0;
            for (let i = 0; i < pieces; i++) {
              const ptr = this.core.view.getUint32(table + i * 8, true);
              const len = this.core.view.getUint32(table + i * 8 + 4, true);
              if (ptr < RAM_BASE || ptr + len > RAM_BASE + ALL) throw new Error('a receive piece lies outside guest memory');
            }
            if (n & 0x2000) x.device_process!(SLOT, (n >>> 14) % 3);
            x.vsock_rx_commit!(conn, this.length());
            break;
          }
          case 4:
            x.vsock_consumed!(conn, this.length());
            break;
          case 5:
            x.vsock_shutdown!(conn, n >>> 10);
            break;
          case 6:
            x.vsock_reset!(conn);
            break;
          case 7:
            x.vsock_accept!(conn);
            break;
          default:
            if ((n >>> 8) % 16 === 0) x.vsock_transport_reset!(3);
            else x.vsock_buffer!(conn, this.next());
        }
        break;
      }
      case 'balloon':
        if (n & 0x10) x.balloon_set!(SLOT, this.next());
        else x.balloon_stats_request!(SLOT);
        break;
      default:
        x.device_poll!(SLOT);
    }
  }

  private add(): void {
    const { x } = this.core;
    const result = {
      blk: () => x.blk_add!(SLOT, 0, 4096, 2, 512, 4),
      net: () => x.net_add!(SLOT, 0x6f, 1500, this.core.scratch(Buffer.from('021122334455', 'hex'))) || x.net_link!(SLOT, 1),
      console: () => x.console_add!(SLOT, 80, 25),
      vsock: () => x.vsock_add!(SLOT, 3) || x.vsock_listen!(1024),
      rng: () => x.rng_add!(SLOT),
      balloon: () => x.balloon_add!(SLOT, 0x27),
    }[this.name]();
    if (result !== 0) throw new Error(`${this.name}: ${result}`);
    if (x.rng_add!(WITNESS) !== 0) throw new Error('witness');
  }

  /** Runs one program; throws when the core did anything it must not. */
  run(program: readonly number[]): void {
    const { core } = this;
    for (const slot of [SLOT, WITNESS]) core.bytes.fill(0, DEVICE_BASE + slot * DEVICE_STRIDE, DEVICE_BASE + (slot + 1) * DEVICE_STRIDE);
    core.bytes.fill(0, VSOCK_BASE, VSOCK_BASE + VSOCK_SIZE);
    core.restartKeeping();
    this.program = program;
    this.at = 0;
    this.calls = 0;
    this.tags = [];
    this.conns = [];
    this.add();
    this.onHost();
    core.host.onRun = () => {
      this.calls = 0;
    };
    this.setUp();
    for (let i = 0; i < 400 && !this.done(); i++) this.step();
    if (core.host.violations.length > 0) throw new Error(`outside guest memory: ${core.host.violations[0]}`);
    if (!core.canariesIntact()) throw new Error('a canary beside guest memory changed');
    for (const [i, part] of this.others().entries()) {
      if (Buffer.compare(part, this.baseline[i]!) !== 0) throw new Error('the state of another device changed');
    }
  }

  /** The states of all other devices, the witness with them, and of what has nothing to do with this one. */
  private others(): Uint8Array[] {
    const mine = DEVICE_BASE + SLOT * DEVICE_STRIDE;
    const { bytes } = this.core;
    return [bytes.subarray(DEVICE_BASE, mine), bytes.subarray(mine + DEVICE_STRIDE, VSOCK_BASE), bytes.subarray(VSOCK_BASE + VSOCK_SIZE, IRQCHIP_BASE + IRQCHIP_SIZE)];
  }
}
