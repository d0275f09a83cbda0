import { closeSync, openSync } from 'node:fs';
import { BLK_DISCARD, BLK_READ_ONLY, SECTOR } from '../../../assembly/contract/devices.ts';
import { VIRTIO_BLK_ID_BYTES } from '../../../assembly/contract/generated/virtio.ts';
import { VmmError } from '../../../base/errors.ts';
import { HOST_EV_DISK_ERROR } from '../../../assembly/contract/machine.ts';
import { hasFfi } from '../../host/places.ts';
import { replaceFile } from '../../host/sys.ts';
import { HOST_KICK_DEVICE } from '../../../assembly/contract/hooks.ts';
import type { HostHooks } from '../../core/hooks.ts';
import type { RingerWork } from '../../threads/device-thread.ts';
import { threads } from '../../threads/pool.ts';
import type { DevicePort, HostDevice } from '../device.ts';
import { type OpenDisk, openDisk, type DiskSpec } from './open.ts';
import type { DiskRate } from '../rate.ts';
import type { LimitedDiskThread } from './limited.ts';
import { DiskServer } from './server.ts';
import { DiskTable } from './table.ts';
import type { DiskThread } from './thread.ts';

/** So many notifications of disks are more than a container's start needs: who sends them has a use for a thread. */
const KICKS_MAX = 512;

/** The hooks of any thread that works on disks' queues with system calls that block. `data`: DiskTable.buffer. */
export function diskHooks(memory: WebAssembly.Memory, ramSize: number, data: unknown, onEvent: (kind: number, a: number, b: bigint) => void): Partial<HostHooks> {
  const server = new DiskServer(memory, ramSize, new DiskTable(data as SharedArrayBuffer), (disk, errno) => onEvent(HOST_EV_DISK_ERROR, disk, BigInt(errno)));
  return { blk: (disk, op, offset, iov, count) => server.request(disk, op, offset, iov, count) };
}

/**
 * The disks of one machine, and who works for them: whoever rings, where a thread of the guest's rings (the software CPU); else the
 * main thread, until it has spent as long on them as a thread takes to start, or was notified often: then a thread of their own
 * pays. VMM_IO=thread gives them one from the start.
 */
export class Disks {
  readonly #table = new DiskTable();
  readonly #devices: Disk[] = [];
  #ports: DevicePort[] = [];
  #server: DiskServer | undefined;
  /** What this thread has spent on disks in this life, milliseconds, and their notifications. */
  #ms = 0;
  #kicks = 0;
  #moving = false;

  /** A disk for the machine's list. Throws as openDisk. */
  open(spec: DiskSpec): HostDevice {
    return this.#device(openDisk(spec));
  }

  /** An empty drive: a disk of capacity 0, writable, which `insert` fills. */
  spare(): HostDevice {
    return this.#device(undefined);
  }

  /** Puts a disk into an empty drive, also while the guest runs; it stays through resets. Throws as openDisk, and DISK_SPARE. */
  insert(spec: DiskSpec): void {
    const drive = this.#devices.find((device) => device.disk === undefined);
    if (drive === undefined) throw new VmmError('DISK_SPARE', `disk ${spec.path}: the machine has no empty drive`, { hint: 'give it more spare drives before it starts' });
    // Its thread would be another one.
    if (spec.rate !== undefined) throw new VmmError('USAGE', `disk ${spec.path}: what is put into an empty drive has no limits`, { hint: 'leave them away' });
    drive.insert(openDisk(spec));
  }

  /** Takes a disk out that `insert` has put in: its file is closed when this returns, whatever its guest does, and the drive is empty. Throws DISK_SPARE, FFI_MISSING. */
  eject(id: string): void {
    const drive = this.#devices.find((device) => device.spare && device.disk?.id === id);
    if (drive === undefined) throw new VmmError('DISK_SPARE', `no drive has a disk ${id} that was put in`, { hint: 'disks that a machine starts with stay' });
    if (!hasFfi()) throw new VmmError('FFI_MISSING', `disk ${id} cannot be taken out without the FFI library`);
    drive.eject();
  }

  #device(disk: OpenDisk | undefined): Disk {
    const device = new Disk(this, this.#table, disk);
    this.#devices.push(device);
    return device;
  }

  /** A disk with a limit waits in a thread that waits for nobody else. */
  limit(port: DevicePort, rate: DiskRate): void {
    const own: LimitedDiskThread['own'] = { table: this.#table.buffer, rate };
    port.thread('limited-disk', [port.slot], own);
  }

  attach(port: DevicePort): void {
    if (this.#ports.length === 0) this.#server = new DiskServer(port.memory, port.ramSize, this.#table, (disk, errno) => port.event(HOST_EV_DISK_ERROR, disk, BigInt(errno)));
    this.#ports.push(port);
    if (this.#ports.length === this.#devices.filter(({ disk }) => disk?.rate === undefined).length && process.env['VMM_IO'] === 'thread') this.#move();
  }

  detach(): void {
    this.#ports = [];
    this.#server = undefined;
    [this.#ms, this.#kicks, this.#moving] = [0, 0, false];
  }

  request(slot: number, op: number, offset: number, iov: number, count: number): number {
    return (this.#server as DiskServer).request(slot, op, offset, iov, count);
  }

  /** A disk's driver has notified this thread. */
  notified(port: DevicePort, queue: number): void {
    this.#kicks++;
    this.#serve(port, queue);
  }

  /** Works on a disk's queue here. */
  #serve(port: DevicePort, queue: number): void {
    if (this.#ports.length === 0) return;
    const start = performance.now();
    const more = port.core.device_process(port.slot, queue) > 0;
    this.#ms += performance.now() - start;
    if ((this.#ms > threads.startMs || this.#kicks > KICKS_MAX) && !this.#moving) void this.#moveWhenReady();
    if (more) setImmediate(() => this.#serve(port, queue));
  }

  /** Between two calls of `#serve`, whose requests are over then. */
  async #moveWhenReady(): Promise<void> {
    this.#moving = true;
    const ports = this.#ports;
    try {
      await threads.ready();
      if (this.#ports === ports && ports.length > 0) this.#move();
    } catch {
      // There is no thread to be had: this one goes on.
    }
  }

  #move(): void {
    const own: DiskThread['own'] = { table: this.#table.buffer, blocking: process.env['VMM_IO'] === 'blocking' };
    this.#moving = true;
    this.#ports[0]?.thread('io', this.#ports.map(({ slot }) => slot), own);
  }
}

class Disk implements HostDevice {
  readonly queues = 1;
  readonly ringer: RingerWork | undefined;
  readonly #disks: Disks;
  readonly #table: DiskTable;
  #port: DevicePort | undefined;
  disk: OpenDisk | undefined;
  /** A drive that began empty. */
  readonly spare: boolean;
  /** Its descriptor, which other threads use, once it had a disk: it stays, and what it leads to changes. */
  #fd = -1;

  constructor(disks: Disks, table: DiskTable, disk: OpenDisk | undefined) {
    this.spare = disk === undefined;
    this.#disks = disks;
    this.#table = table;
    this.disk = disk;
    this.ringer = disk?.rate === undefined ? { kind: 'disk', data: table.buffer } : undefined;
  }

  get name(): string {
    return this.disk === undefined ? 'an empty drive' : (this.disk.name ?? `disk ${this.disk.path}`);
  }

  add(port: DevicePort): number {
    const { core, slot } = port;
    const { disk } = this;
    if (disk !== undefined) this.#table.set(slot, disk);
    const added = core.blk_add(slot, slot, (disk?.size ?? 0) / SECTOR, disk?.readOnly === true ? BLK_READ_ONLY : BLK_DISCARD, SECTOR, 1);
    return added !== 0 || disk === undefined ? added : setId(port, disk.id);
  }

  insert(opened: OpenDisk): void {
    const disk = this.#fd < 0 ? opened : { ...opened, fd: this.#fd };
    if (this.#fd >= 0) {
      replaceFile(opened.fd, this.#fd);
      closeSync(opened.fd);
    }
    this.#fd = disk.fd;
    this.disk = disk;
    const port = this.#port;
    if (port === undefined) return;
    this.#table.set(port.slot, disk);
    setId(port, disk.id);
    port.core.blk_set_capacity(port.slot, disk.size / SECTOR);
  }

  eject(): void {
    const port = this.#port;
    this.disk = undefined;
    if (port !== undefined) {
      port.core.blk_set_capacity(port.slot, 0);
      this.#table.clear(port.slot);
    }
    // Whoever is about to use the descriptor meets nothing there; calls that are on end by themselves.
    const nothing = openSync('/dev/null', 'r');
    replaceFile(nothing, this.#fd);
    closeSync(nothing);
  }

  readonly blk: HostHooks['blk'] = (slot, op, offset, iov, count) => this.#disks.request(slot, op, offset, iov, count);

  attach(port: DevicePort): void {
    this.#port = port;
    if (this.disk?.rate === undefined) this.#disks.attach(port);
    else this.#disks.limit(port, this.disk.rate);
  }

  kicked(queue: number): void {
    const port = this.#port;
    if (port === undefined) return;
    if (queue !== HOST_KICK_DEVICE) this.#disks.notified(port, queue);
    else {
      port.core.device_process(port.slot, HOST_KICK_DEVICE);
      // DRIVER_OK, perhaps: what was offered before it has been notified in vain.
      this.goesOn();
    }
  }

  goesOn(): void {
    const port = this.#port;
    if (port !== undefined) for (let queue = 0; queue < this.queues; queue++) this.#disks.notified(port, queue);
  }

  detach(): void {
    this.#port = undefined;
    this.#disks.detach();
  }

  close(): void {
    const fd = this.disk?.fd ?? this.#fd;
    if (fd >= 0) closeSync(fd);
    this.disk = undefined;
    this.#fd = -1;
  }
}

function setId({ core, slot, scratch }: DevicePort, id: string): number {
  scratch.bytes.fill(0, 0, VIRTIO_BLK_ID_BYTES);
  scratch.bytes.set(Buffer.from(id, 'latin1').subarray(0, VIRTIO_BLK_ID_BYTES));
  return core.blk_id(slot, scratch.offset);
}
