/** How a driver starts a device (virtio 1.2 §3.1.1, §4.2.2, §4.2.3.2). */
import { VIRTIO_MMIO_GPA, VIRTIO_MMIO_STRIDE } from '../assembly/core/layout.ts';

const REG = { featuresSel: 0x24, features: 0x20, queueSel: 0x30, queueNum: 0x38, queueReady: 0x44, status: 0x70, desc: 0x80, driver: 0x90, device: 0xa0 };
const VERSION_1 = 1; // of the high word

/** Writes a register at a guest address. */
export type Register = (gpa: bigint, size: number, value: bigint) => void;

/** Guest addresses of a queue's three parts, below 4 GiB. */
export interface QueuePlaces {
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
}

/** Starts the device in `slot`. `features`: the low word, beside VERSION_1. `entries`: of each queue. */
export function startDevice(register: Register, slot: number, features: number, queues: readonly QueuePlaces[], entries: number): void {
  const write = (at: number, value: number): void => register(BigInt(VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE + at), 4, BigInt(value));
  for (const status of [0, 1, 3]) write(REG.status, status);
  for (const [word, value] of [[0, features], [1, VERSION_1]] as const) {
    write(REG.featuresSel, word);
    write(REG.features, value);
  }
  write(REG.status, 11);
  for (const [index, { desc, avail, used }] of queues.entries()) {
    write(REG.queueSel, index);
    write(REG.queueNum, entries);
    for (const [at, gpa] of [[REG.desc, desc], [REG.driver, avail], [REG.device, used]] as const) {
      write(at, gpa);
      write(at + 4, 0);
    }
    write(REG.queueReady, 1);
  }
  write(REG.status, 15);
}
