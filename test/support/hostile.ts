/**
 * A hostile driver: a list of numbers is read as a program of register writes, descriptors, ring indices and host
 * calls against one device. Whatever it does, the core must not trap, reach outside guest memory, change another
 * device, or work without bound.
 */
import { DEVICE_BASE, DEVICE_STRIDE, RAM_BASE, VIRTIO_MMIO_GPA, VIRTIO_MMIO_STRIDE } from '../../assembly/core/layout.ts';
import { type Core, HOST_PENDING, loadCore } from './core.ts';

export const DEVICES = ['blk', 'console', 'vsock', 'rng', 'balloon'] as const;
export type DeviceName = (typeof DEVICES)[number];

const SLOT = 6;
const WITNESS = 18;
const RAM_MIB = 0.25;
const QUEUES: Record<DeviceName, number> = { blk: 4, console: 2, vsock: 3, rng: 1, balloon: 5 };
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
  private baseline = Buffer.alloc(0);

  constructor(name: DeviceName) {
    this.name = name;
    const count = () => {
      if (++this.calls > CALLS_PER_RUN) throw new Error('the device calls the host without bound');
      this.scribble();
    };
    this.core = loadCore({ ramMib: RAM_MIB });
    const { host } = this.core;
    // The guest writes to its rings while the device works: each call of the host is a moment for it.
    this.onHost = () => {
      host.onConsole = (_device, bytes) => (count(), this.next() % (bytes.length + 1));
      host.onVsock = ({ conn, event, len }) => {
        count();
        if (event === 1) this.conns.push(conn);
        const what = this.next() % 6;
        if (event === 1 && what !== 0) this.core.x.vsock_accept!(conn);
        if (event === 3 && what < 3) this.core.x.vsock_consumed!(conn, len);
        if (what === 4) this.core.x.vsock_reset!(conn);
        if (what === 5) this.core.x.vsock_send!(conn, this.core.scratch(Buffer.alloc(100)), 100);
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
    this.register(STATUS, 3);
    this.register(0x24, 0);
    this.register(0x20, n % 5 === 0 ? this.next() : n % 3 === 0 ? 0x3000_ffff & this.offered(0) : this.offered(0) & (n | 0x3000_0000));
    this.register(0x24, 1);
    this.register(0x20, 1 | (this.offered(1) & (n >>> 3)));
    this.register(STATUS, 11);
    for (let queue = 0; queue < QUEUES[this.name]; queue++) {
      const bad = this.next() % 16 === 1;
      const size = bad ? this.next() % 1000 : 1 << (1 + (n >>> queue) % 6);
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
    switch (n % 16) {
      case 0:
        this.register(REGISTERS[(n >>> 4) % REGISTERS.length]!, this.next());
        break;
      case 1:
        this.register((n >>> 4) % 0x140, this.next(), [1, 2, 4, 8][(n >>> 12) % 4]!);
        break;
      case 2:
        this.setUp();
        break;
      case 3:
      case 4:
      case 5:
      case 6: {
        const index = (n >>> 12) % 32;
        const { view } = core;
        const at = RAM_BASE + ring + index * 16;
        view.setBigUint64(at, this.address(), true);
        view.setUint32(at + 8, this.length(), true);
        const flags = this.next();
        view.setUint16(at + 12, flags % 7 === 0 ? flags >>> 16 : [0, 1, 2, 3, 4, 1, 3][flags % 7]!, true);
        view.setUint16(at + 14, flags % 5 === 0 ? flags >>> 8 : (index + 1) % 32, true);
        break;
      }
      case 7:
      case 8: {
        const at = RAM_BASE + ring + 0x400;
        const size = 1 + ((n >>> 12) % 8);
        const idx = core.view.getUint16(at + 2, true);
        for (let i = 0; i < size; i++) core.view.setUint16(at + 4 + ((idx + i) % 64) * 2, (n >>> (i + 4)) % 33, true);
        core.view.setUint16(at + 2, n % 11 === 0 ? n >>> 16 : (idx + size) & 0xffff, true);
        this.register(NOTIFY, queue);
        break;
      }
      case 9:
        this.register(NOTIFY, queue);
        break;
      case 10:
        this.header(queue);
        break;
      case 11:
        core.x.device_quiesce!(SLOT);
        if (n & 0x100) core.x.device_resume!(SLOT);
        break;
      default:
        this.hostCall(n);
    }
  }

  /** A request header of the device in a buffer that the first descriptor names. */
  private header(queue: number): void {
    const { view } = this.core;
    const gpa = 0x6000 + (this.next() % 64) * 64;
    const at = RAM_BASE + gpa;
    if (this.name === 'vsock') {
      const n = this.next();
      view.setBigUint64(at, n % 9 === 0 ? BigInt(n) : 3n, true);
      view.setBigUint64(at + 8, n % 8 === 0 ? BigInt(n) : 2n, true);
      view.setUint32(at + 16, n % 4, true);
      view.setUint32(at + 20, 1024 + ((n >>> 4) % 2), true);
      view.setUint32(at + 24, this.length(), true);
      view.setUint16(at + 28, n % 7 === 0 ? n : 1, true);
      view.setUint16(at + 30, (n >>> 6) % 9, true);
      view.setUint32(at + 32, n >>> 3, true);
      view.setUint32(at + 36, n % 5 === 0 ? n : 65536, true);
      view.setUint32(at + 40, n % 6 === 0 ? n : 0, true);
    } else {
      const n = this.next();
      view.setUint32(at, n % 6 === 0 ? n : [0, 1, 4, 8, 11, 13][(n >>> 4) % 6]!, true);
      view.setBigUint64(at + 8, n % 5 === 0 ? BigInt(n) << 20n : BigInt(n % 4096), true);
    }
    const desc = RAM_BASE + this.ring(queue) + (this.next() % 4) * 16;
    view.setBigUint64(desc, BigInt(gpa), true);
    view.setUint32(desc + 8, this.name === 'vsock' ? 44 : 16, true);
    view.setUint16(desc + 12, 1, true);
    view.setUint16(desc + 14, this.next() % 8, true);
  }

  private hostCall(n: number): void {
    const { x } = this.core;
    const bytes = (size: number) => this.core.scratch(Buffer.alloc(size, n));
    switch (this.name) {
      case 'blk':
        if ((n >>> 4) % 3 === 0) x.blk_set_capacity!(SLOT, this.next());
        else x.blk_complete!(SLOT, this.tags.length > 0 && n & 0x100 ? this.tags.shift()! : (n >>> 9) % 300, (n >>> 12) % 3 === 0 ? -5 : this.length() & 0x7fff_ffff);
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
    core.restart();
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
    this.baseline = this.others();
    this.setUp();
    for (let i = 0; i < 200 && !this.done(); i++) this.step();
    if (core.host.violations.length > 0) throw new Error(`outside guest memory: ${core.host.violations[0]}`);
    if (!core.canariesIntact()) throw new Error('a canary beside guest memory changed');
    if (!this.others().equals(this.baseline)) throw new Error('the state of another device changed');
  }

  /** The states of all other devices, and what lies behind the socket table. */
  private others(): Buffer {
    const mine = DEVICE_BASE + SLOT * DEVICE_STRIDE;
    return Buffer.concat([
      this.core.bytes.subarray(DEVICE_BASE, mine),
      this.core.bytes.subarray(mine + DEVICE_STRIDE, 0x9_0000),
      this.core.bytes.subarray(0xb_0000, 0x10_0000),
    ]);
  }
}
