/** The least machine around the KVM accelerator: a test guest, the core, an entropy device in slot 0; what happened comes back. */
import { HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import { MACHINE_EV_MARK, MACHINE_F_THREADS } from '../../assembly/contract/machine.ts';
import { RAM_BASE } from '../../assembly/core/layout.ts';
import { createKvm } from '../../vmm/accel/kvm.ts';
import type { Accelerator, DevicePlace } from '../../vmm/accel/types.ts';
import type { VcpuExit, CpuModel } from '../../vmm/accel/vcpu.ts';
import type { EntryState } from '../../vmm/boot/entry.ts';
import { loadKernel } from '../../vmm/boot/kernel.ts';
import { acquireLinearMemory, releaseLinearMemory } from '../../vmm/host/linear-memory.ts';
import { coreModule } from '../../vmm/core/module.ts';
import { instantiateCore } from '../../vmm/core/instance.ts';
import { MachineMemory } from '../../vmm/machine/memory.ts';

const RAM_SIZE = 16 * 1024 ** 2;

export class KvmTestMachine {
  readonly marks: number[] = [];
  readonly kicks: string[] = [];
  readonly events: number[] = [];
  serial = '';
  entered = 0;
  readonly #exit = Promise.withResolvers<VcpuExit>();
  readonly exit = this.#exit.promise;
  accel!: Accelerator;
  exits: (reason: number) => number = () => 0;
  #onMark: (mark: number) => void = () => {};
  #entry!: EntryState;
  readonly #linear = acquireLinearMemory(Math.ceil((RAM_BASE + RAM_SIZE) / 65536));

  private constructor() {}

  /** Builds the machine and starts the guest. */
  static async start(kernel: string, options: { cpus?: number; cpuModel?: CpuModel } = {}): Promise<KvmTestMachine> {
    const machine = await KvmTestMachine.build(kernel, options);
    await machine.accel.start(machine.#entry);
    return machine;
  }

  /** Builds the machine: VM, vCPUs, memory, descriptors, but no thread. */
  static async build(kernel: string, { cpus = 1, cpuModel }: { cpus?: number; cpuModel?: CpuModel } = {}): Promise<KvmTestMachine> {
    const machine = new KvmTestMachine();
    const { memory } = machine.#linear;
    const bytes = new Uint8Array(memory.buffer);
    const event = (kind: number, a: number): void => {
      machine.events.push(kind);
      if (kind !== MACHINE_EV_MARK) return;
      machine.marks.push(a);
      machine.#onMark(a);
    };
    const serial = (data: Uint8Array): number => {
      machine.serial += Buffer.from(data).toString('latin1');
      return data.length;
    };
    const module = coreModule();
    const core = instantiateCore(module, memory, {
      irq: (line) => machine.accel.interrupt(line),
      kick: (slot, queue) => machine.kicks.push(`${slot}.${queue}`),
      blk: () => -5,
      console: (device, ptr, length) => {
        if (device === HOST_SERIAL) serial(bytes.slice(ptr, ptr + length));
        return length;
      },
      vsock: () => {},
      event,
      discard: () => {},
    });
    machine.exits = (reason) => (core as unknown as { kvm_exits(reason: number): number }).kvm_exits(reason);
    if (core.machine_init(RAM_SIZE, cpus, MACHINE_F_THREADS) !== 0) throw new Error('machine_init');
    for (const [name, ...args] of [['rng_add', 0], ['serial_add'], ['power_add']] as const) {
      const result = (core[name] as (...numbers: number[]) => number)(...args);
      if (result !== 0) throw new Error(`${name}: ${result}`);
    }
    const devices: DevicePlace[] = [{ slot: 0, queues: 1 }];
    const guest = new MachineMemory(memory, RAM_SIZE, () => {});
    const { entry } = loadKernel(guest, { kernel, append: '', rsdp: 0 });
    machine.accel = await createKvm({
      module,
      memory,
      core,
      ramSize: RAM_SIZE,
      cpus,
      cpuModel,
      devices,
      ringerHooks: () => ({}),
      trace: undefined,
      onKick: (slot, queue) => machine.kicks.push(`${slot}.${queue}`),
      onGoesOn: () => {},
      onEvent: event,
      onSerial: serial,
      onExit: machine.#exit.resolve,
      onEntered: () => {
        machine.entered++;
      },
      onThreads: () => {},
    });
    machine.#entry = entry;
    return machine;
  }

  /** Resolves when the guest has written `mark` to port 0x601, however long ago. */
  async marked(mark: number): Promise<void> {
    while (!this.marks.includes(mark)) {
      await new Promise<void>((resolve) => {
        this.#onMark = () => resolve();
      });
    }
  }

  /** Resolves when a queue's eventfd has been signalled: its descriptor and the end of a run are looked at in any order. */
  async kicked(): Promise<void> {
    const end = performance.now() + 10_000;
    while (this.kicks.length === 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  /** Stops the machine; milliseconds it took. */
  async stop(): Promise<number> {
    const start = performance.now();
    await this.accel.stop();
    const took = performance.now() - start;
    releaseLinearMemory(this.#linear);
    return took;
  }
}
