import { beforeEach, expect, test } from 'vitest';
import * as KVM from '../../../assembly/contract/generated/kvm_run.ts';
import { KVM_RUN_BASE, KVM_RUN_STRIDE } from '../../../assembly/core/layout.ts';
import { loadCore } from '../../support/devices/core.ts';

const core = loadCore();

const run = (vcpu = 0) => KVM_RUN_BASE + vcpu * KVM_RUN_STRIDE;

function io(port: number, size: number, out: boolean, data: number[], vcpu = 0): void {
  const at = run(vcpu);
  core.view.setUint32(at + KVM.KVM_RUN_EXIT_REASON, KVM.KVM_EXIT_IO, true);
  core.view.setUint8(at + KVM.KVM_RUN_IO_DIRECTION, out ? 1 : 0);
  core.view.setUint8(at + KVM.KVM_RUN_IO_SIZE, size);
  core.view.setUint16(at + KVM.KVM_RUN_IO_PORT, port, true);
  core.view.setUint32(at + KVM.KVM_RUN_IO_COUNT, data.length / size, true);
  core.view.setBigUint64(at + KVM.KVM_RUN_IO_DATA_OFFSET, 0x1000n, true);
  core.bytes.set(data, at + 0x1000);
}

function mmio(gpa: bigint, write: boolean, data: number[]): void {
  core.view.setUint32(run() + KVM.KVM_RUN_EXIT_REASON, KVM.KVM_EXIT_MMIO, true);
  core.view.setBigUint64(run() + KVM.KVM_RUN_MMIO_PHYS_ADDR, gpa, true);
  core.bytes.set(data, run() + KVM.KVM_RUN_MMIO_DATA);
  core.view.setUint32(run() + KVM.KVM_RUN_MMIO_LEN, data.length, true);
  core.view.setUint8(run() + KVM.KVM_RUN_MMIO_IS_WRITE, write ? 1 : 0);
}

const dataOf = (n: number) => [...core.bytes.subarray(run() + 0x1000, run() + 0x1000 + n)];

beforeEach(() => core.restart());

test('OUT reaches the device: a byte to COM1 arrives at the console', () => {
  core.x.serial_add!();
  io(0x3f8, 1, true, [0x41]);
  expect(core.x.kvm_exit!(0)).toBe(0);
  expect(core.host.consoleText(0x100)).toBe('A');
});

test('OUTS with a count sends each element in order', () => {
  core.x.serial_add!();
  io(0x3f8, 1, true, [...Buffer.from('hello')]);
  core.x.kvm_exit!(0);
  expect(core.host.consoleText(0x100)).toBe('hello');
});

test('IN fills the data page at each size; an unclaimed port gives ones', () => {
  core.x.power_add!();
  io(0x600, 1, false, [0]);
  core.x.kvm_exit!(0);
  expect(dataOf(1)).toEqual([0x56]);
  io(0x1234, 2, false, [0, 0]);
  core.x.kvm_exit!(0);
  expect(dataOf(2)).toEqual([0xff, 0xff]);
  io(0x1234, 4, false, [0, 0, 0, 0, 0, 0, 0, 0]);
  core.x.kvm_exit!(0);
  expect(dataOf(8)).toEqual(Array(8).fill(0xff));
});

test('data outside the vCPU’s pages is not touched', () => {
  io(0x1234, 4, false, [1, 2, 3, 4]);
  core.view.setBigUint64(run() + KVM.KVM_RUN_IO_DATA_OFFSET, BigInt(KVM_RUN_STRIDE - 2), true);
  core.bytes.fill(7, run(1), run(1) + 16);
  expect(core.x.kvm_exit!(0)).toBe(0);
  expect([...core.bytes.subarray(run(1), run(1) + 4)]).toEqual([7, 7, 7, 7]);
});

test('MMIO reads and writes go to the bus', () => {
  core.x.rng_add!(0);
  mmio(0xd000_0000n, false, [0, 0, 0, 0]);
  expect(core.x.kvm_exit!(0)).toBe(0);
  expect(Buffer.from(core.bytes.subarray(run() + KVM.KVM_RUN_MMIO_DATA, run() + KVM.KVM_RUN_MMIO_DATA + 4)).toString()).toBe('virt');
  mmio(0xd000_0070n, true, [1, 0, 0, 0]);
  core.x.kvm_exit!(0);
  expect(core.x.bus_mmio_read(0xd000_0070n, 4)).toBe(1n);
});

test('an MMIO access of 3 bytes is made of single bytes', () => {
  mmio(0xd000_0000n, false, [0, 0, 0]);
  core.x.kvm_exit!(0);
  expect([...core.bytes.subarray(run() + KVM.KVM_RUN_MMIO_DATA, run() + KVM.KVM_RUN_MMIO_DATA + 3)]).toEqual([0xff, 0xff, 0xff]);
  expect(core.x.machine_counter!(1)).toBe(3);
});

test('a power-off write ends the run with VCPU_EVENT', () => {
  core.x.power_add!();
  io(0x600, 1, true, [1]);
  expect(core.x.kvm_exit!(0)).toBe(16);
  expect(core.x.machine_exit_request!()).toBe(1);
});

test.each([
  ['INTR', KVM.KVM_EXIT_INTR, 1],
  ['HLT', KVM.KVM_EXIT_HLT, 2],
  ['SHUTDOWN', KVM.KVM_EXIT_SHUTDOWN, 3],
  ['FAIL_ENTRY', KVM.KVM_EXIT_FAIL_ENTRY, 4],
  ['INTERNAL_ERROR', KVM.KVM_EXIT_INTERNAL_ERROR, 5],
  ['SYSTEM_EVENT', KVM.KVM_EXIT_SYSTEM_EVENT, 6],
  ['DEBUG', KVM.KVM_EXIT_DEBUG, 7],
  ['a reason of the future', 1000, 9],
])('%s is handed to the host', (_name, reason, status) => {
  core.view.setUint32(run(3) + KVM.KVM_RUN_EXIT_REASON, reason, true);
  expect(core.x.kvm_exit!(3)).toBe(status);
  expect(core.x.kvm_exits!(Math.min(reason, 63))).toBe(1);
});

test('a vCPU number out of range is refused', () => {
  expect(core.x.kvm_exit!(32)).toBe(9);
});
