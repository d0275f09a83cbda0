import { VIRTIO_MMIO_GPA, VIRTIO_MMIO_IRQ, VIRTIO_MMIO_SLOTS, VIRTIO_MMIO_STRIDE } from '../../assembly/core/layout.ts';
import { VmmError } from '../../base/errors.ts';
import type { DevicePlace } from '../accel/types.ts';
import type { CoreExports } from '../core/exports.ts';
import { Balloon } from '../devices/balloon.ts';
import { VirtioConsole } from '../devices/console.ts';
import type { DevicePort, HostDevice } from '../devices/device.ts';
import { Disks } from '../devices/disk/disks.ts';
import { Shares } from '../devices/fs/exports.ts';
import { Cards } from '../devices/net/cards.ts';
import { RNG } from '../devices/rng.ts';
import type { VsockHost } from '../devices/vsock.ts';
import type { MachineConfig } from './config.ts';
import { confines } from './confine.ts';

/** A machine's devices, by slot; they outlive resets of the guest. */
export interface DeviceList {
  readonly list: readonly HostDevice[];
  readonly console: VirtioConsole | undefined;
  readonly disks: Disks;
  readonly shares: Shares;
  readonly cards: Cards;
  readonly balloon: Balloon | undefined;
  close(): void;
}

/** The devices of a configuration in a fixed order: console, vsock, rng, balloon, disks, empty drives, shares, cards. Opens disks, shares and cables. Throws VmmError. */
export function deviceList(config: MachineConfig, vsock: VsockHost): DeviceList {
  if (config.counted !== undefined && (config.cards?.length ?? 0) > 0) {
    throw new VmmError('ICOUNT_NET', 'a counted run has no network: frames come when they come, and no run would repeat', { hint: 'leave the card or --icount away' });
  }
  if (config.counted !== undefined && config.disks?.some(({ rate }) => rate !== undefined)) throw new VmmError('USAGE', 'a counted run has no limits: they are of the host’s time', { hint: 'leave them or --icount away' });
  const console = config.console === 'hvc' ? new VirtioConsole() : undefined;
  const list: HostDevice[] = [];
  const disks = new Disks();
  if (config.counted !== undefined && (config.shares?.length ?? 0) > 0) {
    throw new VmmError('USAGE', 'a counted run (--icount) has no shares: files of the host may change at any time, and nothing records that', { hint: 'make a disk of the directory' });
  }
  const shares = new Shares(confines(config));
  const cards = new Cards();
  const balloon = config.balloon ? new Balloon() : undefined;
  const devices = { list, console, disks, shares, cards, balloon, close: () => list.forEach((device) => device.close?.()) };
  if (console !== undefined) list.push(console);
  if (config.vsock) list.push(vsock);
  list.push(RNG);
  if (balloon !== undefined) list.push(balloon);
  const count = list.length + (config.disks?.length ?? 0) + (config.spareDisks ?? 0) + (config.shares?.length ?? 0) + (config.cards?.length ?? 0) + (config.spareCards ?? 0);
  if (count > VIRTIO_MMIO_SLOTS) throw new VmmError('USAGE', `${count} devices, a machine has ${VIRTIO_MMIO_SLOTS} slots`, { hint: 'give fewer disks, shares or cards' });
  try {
    for (const disk of config.disks ?? []) list.push(disks.open(disk));
    for (let spare = 0; spare < (config.spareDisks ?? 0); spare++) list.push(disks.spare());
    for (const share of config.shares ?? []) list.push(shares.device(share));
    for (const card of config.cards ?? []) list.push(cards.open(card));
    for (let spare = 0; spare < (config.spareCards ?? 0); spare++) list.push(cards.spare());
  } catch (error) {
    devices.close();
    throw error;
  }
  return devices;
}

function check(what: string, result: number): void {
  if (result !== 0) throw new VmmError('INTERNAL', `the core refuses ${what}: ${result}`);
}

/** Puts the machine's fixed devices and those of the list into a new core. Returns what accelerators know of the latter. */
export function addDevices(core: CoreExports, list: readonly HostDevice[], ports: readonly DevicePort[]): DevicePlace[] {
  check('COM1', core.serial_add());
  check('the i8042', core.i8042_add());
  check('the RTC', core.rtc_add());
  check('the power ports', core.power_add());
  return list.map((device, slot) => {
    check(device.name, device.add(ports[slot] as DevicePort));
    return { slot, queues: device.queues, ringer: device.ringer };
  });
}

/** `virtio_mmio.device=` parameters (Linux, drivers/virtio/virtio_mmio.c) for the given slots. */
export function deviceParameters(slots: readonly number[]): string[] {
  return slots.map((slot) => `virtio_mmio.device=4K@0x${(VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE).toString(16)}:${VIRTIO_MMIO_IRQ + slot}`);
}
