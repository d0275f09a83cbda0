import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolders } from '../../base/folders.ts';
import { userCache } from '../../base/user-cache.ts';
import { HostCallError } from '../host/errno.ts';
import { addressOf } from '../host/ffi.ts';
import { LinearMemory } from '../host/linear-memory.ts';
import { close, ioctlScalar, mmap, munmap, preadTry } from '../host/sys.ts';
import { KVM_CAP_BINARY_STATS_FD, KVM_GET_STATS_FD, kvm_stats_desc, kvm_stats_header } from '../host/uapi/kvm.ts';
import { MAP_SHARED, PROT_READ, PROT_WRITE } from '../host/uapi/linux.ts';
import { setEntryState } from './state.ts';
import { KvmSystem } from './system.ts';
import { KvmVcpu } from './vcpu.ts';

/** What /dev/kvm is on this machine. */
export interface KvmState {
  readonly state: 'hardware' | 'emulated' | 'missing' | 'forbidden' | 'busy';
  /** Why, in a few words. */
  readonly detail: string;
  /** What to do about it. */
  readonly hint: string;
}

const HARDWARE_MODULES = ['kvm_intel', 'kvm_amd'];
/** Instructions that the test guest runs in ring 0. Hardware runs them without KVM's emulator. */
const TEST_INSTRUCTIONS = 100;
const EMULATED_ABOVE = 50;
/** Without statistics: the same guest on hardware needs a few microseconds. */
const HARDWARE_BELOW_NS = 100_000n;
const TRIES = 3;

/** Looks at /dev/kvm; the slow part's answer is kept until the next boot in the user's cache directory. */
export function selfTest(path = '/dev/kvm', modules = '/sys/module'): KvmState {
  let system: KvmSystem;
  try {
    system = KvmSystem.open(path);
  } catch (error) {
    return openState(path, error);
  }
  try {
    const module = HARDWARE_MODULES.find((name) => existsSync(join(modules, name)));
    if (module !== undefined) return { state: 'hardware', detail: module, hint: '' };
    const kept = readKept();
    if (kept !== undefined) return kept;
    const state = testGuest(system);
    if (state.state !== 'busy') keep(state);
    return state;
  } finally {
    system.close();
  }
}

function openState(path: string, error: unknown): KvmState {
  const name = error instanceof HostCallError ? error.errnoName : 'error';
  switch (name) {
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO':
      return { state: 'missing', detail: `${path} does not exist`, hint: 'load kvm_intel or kvm_amd, or switch on virtualization in the firmware or the outer hypervisor' };
    case 'EACCES':
    case 'EPERM':
      return { state: 'forbidden', detail: `${path} may not be opened: ${name}`, hint: 'add your user to the group kvm and log in again' };
    case 'EBUSY':
      return busy(name);
    default:
      return { state: 'missing', detail: error instanceof Error ? error.message : String(error), hint: 'see whether /dev/kvm is the device of Linux KVM' };
  }
}

function busy(name: string): KvmState {
  return { state: 'busy', detail: `KVM gives no virtual machine: ${name}`, hint: 'another hypervisor may hold the processor: end it' };
}

/** Runs a guest of TEST_INSTRUCTIONS and asks KVM how many of them its emulator had to do. */
function testGuest(system: KvmSystem): KvmState {
  const CODE = 0x1000;
  // A WebAssembly page is aligned and mapped as guest memory must be.
  const linear = new LinearMemory(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }));
  // mov ecx, TEST_INSTRUCTIONS / 2; loop: dec ecx; jnz loop; hlt
  new Uint8Array(linear.memory.buffer).set([0xb9, TEST_INSTRUCTIONS / 2, 0, 0, 0, 0x49, 0x75, 0xfd, 0xf4], CODE);
  let vm: ReturnType<KvmSystem['createVm']>;
  try {
    vm = system.createVm();
  } catch (error) {
    return busy(error instanceof HostCallError ? error.errnoName : 'error');
  }
  let vcpu: KvmVcpu | undefined;
  let run: bigint | undefined;
  try {
    vm.setMemory({ slot: 0, gpa: 0, size: linear.byteLength, hostAddress: linear.hostAddress(0, linear.byteLength) });
    vcpu = new KvmVcpu(vm.createVcpu(0));
    run = mmap(0n, system.vcpuMmapSize, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.fd, 0);
    vcpu.setCpuid(system.supportedCpuid());
    let best = 1n << 62n;
    for (let i = 0; i < TRIES; i++) {
      setEntryState(vcpu, { kind: 'protected32', eip: CODE, eax: 0, ebx: 0, gdt: { base: 0, limit: 0 } });
      const start = process.hrtime.bigint();
      if (vcpu.run() < 0) return { state: 'emulated', detail: 'its test guest does not run', hint: 'use a machine with VT-x or AMD-V' };
      const took = process.hrtime.bigint() - start;
      if (took < best) best = took;
    }
    const emulated = system.extension(KVM_CAP_BINARY_STATS_FD) > 0 ? vcpuStat(vcpu, 'insn_emulation') : undefined;
    const slow = emulated === undefined ? best > HARDWARE_BELOW_NS : emulated > BigInt(EMULATED_ABOVE);
    if (!slow) return { state: 'hardware', detail: 'no instruction is emulated', hint: '' };
    const why = emulated === undefined ? `${TEST_INSTRUCTIONS} instructions take ${best / 1000n} µs` : `its guests' ring 0 is emulated one instruction at a time`;
    return { state: 'emulated', detail: `KVM here has no hardware virtualization: ${why}`, hint: 'use a machine with VT-x or AMD-V' };
  } finally {
    if (run !== undefined) munmap(run, system.vcpuMmapSize);
    vcpu?.close();
    vm.deleteMemory(0);
    vm.close();
  }
}

/** One counter of a vCPU by name (api.rst §4.131 KVM_GET_STATS_FD); undefined when there is none of that name. */
function vcpuStat(vcpu: KvmVcpu, wanted: string): bigint | undefined {
  const fd = ioctlScalar(vcpu.fd, KVM_GET_STATS_FD, 0, 'KVM_GET_STATS_FD');
  try {
    const read = (length: number, offset: number): DataView => {
      const bytes = new Uint8Array(length);
      preadTry(fd, addressOf(bytes), length, offset);
      return new DataView(bytes.buffer);
    };
    const header = read(kvm_stats_header.sizeof, 0);
    const nameSize = header.getUint32(kvm_stats_header.name_size, true);
    const count = header.getUint32(kvm_stats_header.num_desc, true);
    const size = kvm_stats_desc.sizeof + nameSize;
    const table = read(count * size, header.getUint32(kvm_stats_header.desc_offset, true));
    for (let i = 0; i < count; i++) {
      const at = i * size;
      const name = Buffer.from(table.buffer, at + kvm_stats_desc.name, nameSize).toString('latin1').split('\0')[0];
      if (name !== wanted) continue;
      return read(8, header.getUint32(kvm_stats_header.data_offset, true) + table.getUint32(at + kvm_stats_desc.offset, true)).getBigUint64(0, true);
    }
    return undefined;
  } finally {
    close(fd);
  }
}

function keptPath(): string {
  return userCache('kvm-selftest.json');
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function readKept(): KvmState | undefined {
  try {
    const kept = JSON.parse(readFileSync(keptPath(), 'utf8')) as KvmState & { boot: string };
    return kept.boot === bootId() && (kept.state === 'hardware' || kept.state === 'emulated') ? { state: kept.state, detail: kept.detail, hint: kept.hint } : undefined;
  } catch {
    return undefined;
  }
}

function keep(state: KvmState): void {
  try {
    const path = keptPath();
    makeFolders(dirname(path));
    writeFileSync(`${path}.${process.pid}`, JSON.stringify({ ...state, boot: bootId() }));
    renameSync(`${path}.${process.pid}`, path);
  } catch {
    // Without a cache the next run tests again.
  }
}
