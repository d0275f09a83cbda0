import { BALLOON_QUEUES, BLK_DISCARD, BLK_READ_ONLY, CONSOLE_QUEUES, RNG_QUEUES, SECTOR, VSOCK_QUEUES } from '../../assembly/contract/devices.ts';
import { VIRTIO_BALLOON_F_DEFLATE_ON_OOM, VIRTIO_BALLOON_F_PAGE_REPORTING, VIRTIO_BLK_ID_BYTES } from '../../assembly/contract/generated/virtio.ts';
import { HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import { VIRTIO_MMIO_GPA, VIRTIO_MMIO_IRQ, VIRTIO_MMIO_STRIDE } from '../../assembly/core/layout.ts';
import type { DevicePlace } from '../accel/types.ts';
import type { ConsolePort } from '../devices/console.ts';
import type { OpenDisk } from '../devices/disk.ts';
import { VmmError } from '../../base/errors.ts';
import type { MachineConfig } from './config.ts';
import type { CoreExports } from '../core/exports.ts';

const GUEST_CID = 3;
const BALLOON_FEATURES = VIRTIO_BALLOON_F_DEFLATE_ON_OOM | VIRTIO_BALLOON_F_PAGE_REPORTING;

export interface MachineDevices {
  readonly places: readonly DevicePlace[];
  readonly console: ConsolePort;
  readonly vsockSlot: number | undefined;
  readonly resize: ((columns: number, rows: number) => void) | undefined;
}

/**
 * Linux's virtio console throws away what comes between its first receive buffers and the set-up of its terminal
 * (drivers/char/virtio_console.c, in_intr): a few milliseconds of guest time.
 */
const CONSOLE_SETTLE_MS = 200;

/** How many slots `addDevices` takes beside the disks'. */
export function otherDevices(config: MachineConfig): number {
  return 1 + Number(config.console === 'hvc') + Number(config.vsock === true) + Number(config.balloon === true);
}

/** Fills the slots in a fixed order: console, vsock, rng, balloon, disks. */
export function addDevices(core: CoreExports, config: MachineConfig, disks: readonly OpenDisk[], scratch: { readonly bytes: Uint8Array; readonly offset: number }): MachineDevices {
  const places: DevicePlace[] = [];
  const check = (what: string, result: number): void => {
    if (result !== 0) throw new VmmError('INTERNAL', `the core refuses ${what}: ${result}`);
  };
  const place = (owner: 'main' | 'io', queues: number): number => {
    const slot = places.length;
    places.push({ slot, owner, queues });
    return slot;
  };

  check('COM1', core.serial_add());
  check('the i8042', core.i8042_add());
  check('the RTC', core.rtc_add());
  check('the power ports', core.power_add());

  let consoleSlot: number | undefined;
  if (config.console === 'hvc') {
    consoleSlot = place('main', CONSOLE_QUEUES);
    check('a console', core.console_add(consoleSlot, 80, 24));
  }
  let vsockSlot: number | undefined;
  if (config.vsock) {
    vsockSlot = place('main', VSOCK_QUEUES);
    check('a vsock device', core.vsock_add(vsockSlot, GUEST_CID));
  }
  check('an entropy device', core.rng_add(place('main', RNG_QUEUES)));
  if (config.balloon) check('a balloon', core.balloon_add(place('main', BALLOON_QUEUES), BALLOON_FEATURES));
  disks.forEach((disk, index) => {
    const slot = place('io', 1);
    check(`disk ${disk.path}`, core.blk_add(slot, index, disk.size / SECTOR, disk.readOnly ? BLK_READ_ONLY : BLK_DISCARD, SECTOR, 1));
    scratch.bytes.fill(0, 0, VIRTIO_BLK_ID_BYTES);
    scratch.bytes.set(Buffer.from(disk.id, 'latin1').subarray(0, VIRTIO_BLK_ID_BYTES));
    check(`the id of ${disk.path}`, core.blk_id(slot, scratch.offset));
  });

  const slot = consoleSlot;
  return {
    places,
    vsockSlot,
    console:
      slot === undefined
        ? { input: (ptr, length) => core.serial_input(ptr, length), drained: () => core.console_drained(HOST_SERIAL), settleMs: 0 }
        : { input: (ptr, length) => core.console_input(slot, ptr, length), drained: () => core.console_drained(slot), settleMs: CONSOLE_SETTLE_MS },
    resize: slot === undefined ? undefined : (columns, rows) => core.console_resize(slot, columns, rows),
  };
}

/** `virtio_mmio.device=` parameters (Linux, drivers/virtio/virtio_mmio.c) for the given slots. */
export function deviceParameters(slots: readonly number[]): string[] {
  return slots.map((slot) => `virtio_mmio.device=4K@0x${(VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE).toString(16)}:${VIRTIO_MMIO_IRQ + slot}`);
}
