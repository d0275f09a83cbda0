/**
 * A virtio driver for tests (virtio 1.2, §3 and §4.2): negotiates over the MMIO registers, builds split rings in guest
 * memory and drives the real device.
 */
import { RAM_BASE, VIRTIO_MMIO_GPA, VIRTIO_MMIO_STRIDE } from '../../../assembly/core/layout.ts';
import type { Core } from './core.ts';

export const REG = {
  magic: 0x00, version: 0x04, deviceId: 0x08, vendor: 0x0c, deviceFeatures: 0x10, deviceFeaturesSel: 0x14,
  driverFeatures: 0x20, driverFeaturesSel: 0x24, queueSel: 0x30, queueNumMax: 0x34, queueNum: 0x38, queueReady: 0x44,
  queueNotify: 0x50, interruptStatus: 0x60, interruptAck: 0x64, status: 0x70, descLow: 0x80, descHigh: 0x84,
  driverLow: 0x90, driverHigh: 0x94, deviceLow: 0xa0, deviceHigh: 0xa4, shmSel: 0xac, shmLenLow: 0xb0, shmLenHigh: 0xb4,
  shmBaseLow: 0xb8, shmBaseHigh: 0xbc, queueReset: 0xc0, configGeneration: 0xfc, config: 0x100,
} as const;

export const STATUS = { acknowledge: 1, driver: 2, driverOk: 4, featuresOk: 8, needsReset: 64, failed: 128 } as const;

export const F = {
  indirect: 1n << 28n, eventIdx: 1n << 29n, version1: 1n << 32n, inOrder: 1n << 35n, ringReset: 1n << 40n,
} as const;

export const DESC = { next: 1, write: 2, indirect: 4 } as const;

export interface Piece {
  gpa: number;
  len: number;
  write?: boolean;
}

export interface Used {
  id: number;
  len: number;
}

/** Where a driver puts what it needs; bump allocation from 64 KiB up, so that tests can use the memory below. */
export class GuestAllocator {
  private at = 0x1_0000;
  private readonly end: number;

  constructor(end: number) {
    this.end = end;
  }

  take(bytes: number, align = 16): number {
    const gpa = Math.ceil(this.at / align) * align;
    this.at = gpa + bytes;
    if (this.at > this.end) throw new Error('test guest memory is used up');
    return gpa;
  }
}

export class DriverQueue {
  readonly driver: Driver;
  readonly index: number;
  readonly size: number;
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  private availIdx = 0;
  private lastUsed = 0;
  private free: number[] = [];
  private readonly chains = new Map<number, number[]>();

  constructor(driver: Driver, index: number, size: number) {
    this.driver = driver;
    this.index = index;
    this.size = size;
    this.desc = driver.memory.take(16 * size, 16);
    this.avail = driver.memory.take(6 + 2 * size, 2);
    this.used = driver.memory.take(6 + 8 * size, 4);
    this.free = Array.from({ length: size }, (_, i) => i);
  }

  /** Writes the queue's registers and enables it; what QueueReady reads then. */
  enable(at: { desc?: number; avail?: number; used?: number; size?: number } = {}): number {
    const d = this.driver;
    d.write(REG.queueSel, this.index);
    d.write(REG.queueNum, at.size ?? this.size);
    d.write64(REG.descLow, BigInt(at.desc ?? this.desc));
    d.write64(REG.driverLow, BigInt(at.avail ?? this.avail));
    d.write64(REG.deviceLow, BigInt(at.used ?? this.used));
    d.write(REG.queueReady, 1);
    return d.read(REG.queueReady);
  }

  /** Forgets all entries, as a driver does after it reset the queue. */
  clear(): void {
    this.availIdx = 0;
    this.lastUsed = 0;
    this.free = Array.from({ length: this.size }, (_, i) => i);
    this.chains.clear();
    this.driver.fill(this.desc, 16 * this.size);
    this.driver.fill(this.avail, 6 + 2 * this.size);
    this.driver.fill(this.used, 6 + 8 * this.size);
  }

  writeDesc(index: number, gpa: number | bigint, len: number, flags: number, next: number): void {
    this.writeDescAt(this.desc + index * 16, gpa, len, flags, next);
  }

  writeDescAt(at: number, gpa: number | bigint, len: number, flags: number, next: number): void {
    const { view } = this.driver.core;
    view.setBigUint64(RAM_BASE + at, BigInt(gpa), true);
    view.setUint32(RAM_BASE + at + 8, len, true);
    view.setUint16(RAM_BASE + at + 12, flags, true);
    view.setUint16(RAM_BASE + at + 14, next, true);
  }

  /** Adds a chain and makes it available; its head. Readable pieces first. */
  add(pieces: Piece[], options: { indirect?: boolean; publish?: boolean } = {}): number {
    const count = options.indirect ? 1 : pieces.length;
    if (this.free.length < count) throw new Error('the test driver has no free descriptors');
    const ids = this.free.splice(0, count);
    if (options.indirect) {
      const table = this.driver.memory.take(16 * pieces.length, 16);
      for (const [i, piece] of pieces.entries()) {
        const flags = (piece.write ? DESC.write : 0) | (i + 1 < pieces.length ? DESC.next : 0);
        this.writeDescAt(table + i * 16, piece.gpa, piece.len, flags, i + 1);
      }
      this.writeDesc(ids[0]!, table, 16 * pieces.length, DESC.indirect, 0);
    } else {
      for (const [i, piece] of pieces.entries()) {
        const flags = (piece.write ? DESC.write : 0) | (i + 1 < pieces.length ? DESC.next : 0);
        this.writeDesc(ids[i]!, piece.gpa, piece.len, flags, ids[i + 1] ?? 0);
      }
    }
    this.chains.set(ids[0]!, ids);
    this.offer(ids[0]!);
    if (options.publish !== false) this.publish();
    return ids[0]!;
  }

  /** Puts a head into the available ring without showing it. */
  offer(head: number): void {
    this.driver.core.view.setUint16(RAM_BASE + this.avail + 4 + (this.availIdx % this.size) * 2, head, true);
    this.availIdx = (this.availIdx + 1) & 0xffff;
  }

  publish(): void {
    this.driver.core.view.setUint16(RAM_BASE + this.avail + 2, this.availIdx, true);
  }

  setAvailIdx(value: number): void {
    this.driver.core.view.setUint16(RAM_BASE + this.avail + 2, value, true);
  }

  setAvailFlags(value: number): void {
    this.driver.core.view.setUint16(RAM_BASE + this.avail, value, true);
  }

  setUsedEvent(value: number): void {
    this.driver.core.view.setUint16(RAM_BASE + this.avail + 4 + this.size * 2, value, true);
  }

  get usedIdx(): number {
    return this.driver.core.view.getUint16(RAM_BASE + this.used + 2, true);
  }

  get usedFlags(): number {
    return this.driver.core.view.getUint16(RAM_BASE + this.used, true);
  }

  get availEvent(): number {
    return this.driver.core.view.getUint16(RAM_BASE + this.used + 4 + this.size * 8, true);
  }

  kick(): void {
    this.driver.write(REG.queueNotify, this.index);
  }

  /** Used elements since the last call; their descriptors are free again. */
  takeUsed(): Used[] {
    const out: Used[] = [];
    const { view } = this.driver.core;
    while (this.lastUsed !== this.usedIdx) {
      const at = RAM_BASE + this.used + 4 + (this.lastUsed % this.size) * 8;
      const used = { id: view.getUint32(at, true), len: view.getUint32(at + 4, true) };
      this.lastUsed = (this.lastUsed + 1) & 0xffff;
      this.free.push(...(this.chains.get(used.id) ?? []));
      this.chains.delete(used.id);
      out.push(used);
    }
    return out;
  }
}

export class Driver {
  readonly core: Core;
  readonly slot: number;
  readonly memory: GuestAllocator;
  readonly queues: DriverQueue[] = [];
  features = 0n;

  constructor(core: Core, slot: number, memory = new GuestAllocator(core.ramBytes)) {
    this.core = core;
    this.slot = slot;
    this.memory = memory;
  }

  private gpa(offset: number): bigint {
    return BigInt(VIRTIO_MMIO_GPA + this.slot * VIRTIO_MMIO_STRIDE + offset);
  }

  read(offset: number, size = 4): number {
    return Number(this.core.x.bus_mmio_read(this.gpa(offset), size) & (size === 8 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn));
  }

  read64(offset: number): bigint {
    return BigInt.asUintN(64, this.core.x.bus_mmio_read(this.gpa(offset), 8));
  }

  write(offset: number, value: number, size = 4): void {
    this.core.x.bus_mmio_write(this.gpa(offset), size, BigInt(value));
  }

  /** A pair of registers, low half first. */
  write64(offset: number, value: bigint): void {
    this.write(offset, Number(value & 0xffff_ffffn));
    this.write(offset + 4, Number(value >> 32n));
  }

  get status(): number {
    return this.read(REG.status);
  }

  offered(): bigint {
    this.write(REG.deviceFeaturesSel, 0);
    const low = BigInt(this.read(REG.deviceFeatures));
    this.write(REG.deviceFeaturesSel, 1);
    return low | (BigInt(this.read(REG.deviceFeatures)) << 32n);
  }

  writeFeatures(features: bigint): void {
    this.write(REG.driverFeaturesSel, 0);
    this.write(REG.driverFeatures, Number(features & 0xffff_ffffn));
    this.write(REG.driverFeaturesSel, 1);
    this.write(REG.driverFeatures, Number(features >> 32n));
  }

  /** Reset to FEATURES_OK (§3.1.1, steps 1 to 6). Without `features` all that the device offers, less IN_ORDER. */
  negotiate(features?: bigint): number {
    this.write(REG.status, 0);
    this.write(REG.status, STATUS.acknowledge);
    this.write(REG.status, STATUS.acknowledge | STATUS.driver);
    this.features = features ?? this.offered() & ~F.inOrder;
    this.writeFeatures(this.features);
    this.write(REG.status, STATUS.acknowledge | STATUS.driver | STATUS.featuresOk);
    return this.status;
  }

  queue(index: number, size = 16): DriverQueue {
    const q = new DriverQueue(this, index, size);
    this.queues[index] = q;
    return q;
  }

  ready(): void {
    this.write(REG.status, STATUS.acknowledge | STATUS.driver | STATUS.featuresOk | STATUS.driverOk);
  }

  /** The whole of §3.1.1 with queues of these sizes. */
  start(sizes: number[], features?: bigint): DriverQueue[] {
    this.negotiate(features);
    const queues = sizes.map((size, i) => this.queue(i, size));
    for (const q of queues) if (q.enable() !== 1) throw new Error(`queue ${q.index} is not ready`);
    this.ready();
    return queues;
  }

  /** Interrupts of this device since the last call. */
  takeIrqs(): number {
    const { irqs } = this.core.host;
    const mine = irqs.filter((line) => line === 5 + this.slot).length;
    irqs.splice(0, irqs.length, ...irqs.filter((line) => line !== 5 + this.slot));
    return mine;
  }

  put(gpa: number, bytes: Uint8Array): void {
    this.core.bytes.set(bytes, RAM_BASE + gpa);
  }

  fill(gpa: number, len: number, value = 0): void {
    this.core.bytes.fill(value, RAM_BASE + gpa, RAM_BASE + gpa + len);
  }

  /** A buffer in guest memory that holds `bytes`. */
  buffer(bytes: Uint8Array, align = 16): number {
    const gpa = this.memory.take(Math.max(bytes.length, 1), align);
    this.put(gpa, bytes);
    return gpa;
  }
}
