import { accessSync, constants } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { MACHINE_F_SOFT_IRQ, MACHINE_F_THREADS } from '../../assembly/contract/machine.ts';
import { SHARE_THREAD } from '../devices/fs/exports.ts';
import { exitNow } from '../host/sys.ts';
import { threads } from '../threads/pool.ts';
import type { Accelerator, AcceleratorContext } from '../accel/types.ts';
import { VmmError } from '../../base/errors.ts';
import type { KvmState } from '../kvm/selftest.ts';
import { CountedRun } from '../time/counted.ts';
import type { MachineTime } from '../time/machine-time.ts';
import type { AccelName } from './config.ts';

export type { KvmState };

export interface AccelChoice {
  readonly name: 'kvm' | 'wasm';
  /** One line for the user when `auto` could not take KVM. */
  readonly note: string | undefined;
  readonly machineFlags: number;
  create(context: AcceleratorContext): Promise<Accelerator>;
}

/** What /dev/kvm is here. The FFI is only loaded when the device can be opened. */
export async function kvmState(): Promise<KvmState> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return { state: 'missing', detail: '/dev/kvm does not exist', hint: 'load kvm_intel or kvm_amd, or switch on virtualization in the firmware or the outer hypervisor' };
    }
    return { state: 'forbidden', detail: `/dev/kvm may not be opened: ${(error as NodeJS.ErrnoException).code}`, hint: 'add your user to the group kvm and log in again' };
  }
  const { selfTest } = await import('../kvm/selftest.ts');
  return selfTest();
}

/**
 * Has `count` threads started for a machine that is still to be described, or built: a thread takes as long to start as that
 * does, so the two go side by side.
 */
export function prepareThreads(count: number): void {
  threads.prepare(count);
}

/** Starts a thread for the machine's shares, which binds itself by its own rules. Its id, undefined where it cannot be told. */
export function reserveShareThread(): number | undefined {
  return threads.reserve(SHARE_THREAD);
}

/** A thread does not end: nobody waits for it, the process's end included. */
export function abandonThreads(): void {
  threads.abandon();
  // Node's own way out would wait for it.
  process.on('exit', (status) => exitNow(status));
}

/** Takes over a worker thread that runs dist/thread.cjs and has no work yet. */
export function adoptThread(worker: Worker): void {
  threads.adopt(worker);
}

/** Picks what runs the guest's code: `auto` takes KVM where it is hardware, else the software CPU. A counted run has its own. Throws ACCEL_KVM. */
export async function chooseAccelerator(name: AccelName, time: MachineTime): Promise<AccelChoice> {
  if (time instanceof CountedRun) {
    if (name === 'kvm') throw new VmmError('USAGE', 'a counted run (--icount) needs the software CPU: KVM does not stop at a given instruction', { hint: 'leave --accel kvm away' });
    return { name: 'wasm', note: undefined, machineFlags: MACHINE_F_SOFT_IRQ, create: async (context) => (await import('../accel/counted.ts')).createCounted(context, time) };
  }
  if (name !== 'wasm') {
    const kvm = await kvmState();
    if (kvm.state === 'hardware' || (name === 'kvm' && kvm.state === 'emulated')) {
      threads.expectFfi();
      return {
        name: 'kvm',
        note: kvm.state === 'emulated' ? `${kvm.detail}: for small guests only, Linux would take minutes` : undefined,
        machineFlags: MACHINE_F_THREADS,
        create: async (context) => (await import('../accel/kvm.ts')).createKvm(context),
      };
    }
    if (name === 'kvm') throw new VmmError('ACCEL_KVM', `KVM cannot be used: ${kvm.detail}`, { hint: `${kvm.hint}, or use --accel wasm` });
    return { ...wasmChoice(), note: `using the software CPU: ${kvm.detail} (for full speed: ${kvm.hint})` };
  }
  return wasmChoice();
}

/** Throws ACCEL_KVM where KVM emulates its guests' ring 0: Linux would take minutes there, or the host down. */
export async function needsHardware(name: AccelName): Promise<void> {
  if (name !== 'kvm') return;
  const kvm = await kvmState();
  if (kvm.state === 'emulated') throw new VmmError('ACCEL_KVM', `KVM cannot run Linux: ${kvm.detail}`, { hint: 'leave --accel away: the software CPU is faster here' });
}

function wasmChoice(): AccelChoice {
  return {
    name: 'wasm',
    note: undefined,
    machineFlags: MACHINE_F_SOFT_IRQ | MACHINE_F_THREADS,
    create: async (context) => (await import('../accel/wasm.ts')).createWasm(context),
  };
}
