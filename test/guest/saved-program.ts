/**
 * A machine is saved while its guest runs, and goes on in another one: node saved-program.js ACCEL KERNEL CPUS INITRD|- APPEND PATTERN.
 * What both have written to COM1 comes back as JSON. The guest is stopped once its output matches PATTERN.
 */
import { HOST_SERIAL } from '../../assembly/contract/hooks.ts';
import { RAM_BASE } from '../../assembly/core/layout.ts';
import type { SavedVcpus } from '../../vmm/accel/saved.ts';
import type { Accelerator } from '../../vmm/accel/types.ts';
import { releaseMemory } from '../../vmm/core/memory.ts';
import { stateRanges } from '../../vmm/core/ranges.ts';
import { chooseAccelerator } from '../../vmm/machine/accelerator.ts';
import { loadProgram } from '../../vmm/machine/boot.ts';
import { buildHardware, type Hardware } from '../../vmm/machine/build.ts';
import type { AccelName, MachineConfig } from '../../vmm/machine/config.ts';
import { realTime } from '../../vmm/time/machine-time.ts';

const [accelName, kernel = '', cpus, initrd, append = '', pattern = ''] = process.argv.slice(2);
const config: MachineConfig = { memoryMib: 128, cpus: Number(cpus), accel: accelName as AccelName, kernel, append, console: 'serial', exitOnPort: true, initrd: initrd === '-' ? undefined : initrd };
const time = realTime();
const choice = await chooseAccelerator(config.accel, time);

class Half {
  output = '';
  readonly hardware: Hardware;
  accel!: Accelerator;
  readonly #end = Promise.withResolvers<string>();
  readonly ended = this.#end.promise;
  onOutput: () => void = () => {};

  constructor() {
    const written = (bytes: Uint8Array): number => {
      this.output += Buffer.from(bytes).toString('latin1');
      this.onOutput();
      return bytes.length;
    };
    this.hardware = buildHardware(config, choice, [], time, {
      hooks: (memory) => ({ irq: (line) => this.accel.interrupt(line), console: (device, ptr, length) => (device === HOST_SERIAL ? written(new Uint8Array(memory.buffer).slice(ptr, ptr + length)) : length) }),
      process: () => {},
      thread: () => false,
      wake: () => {},
      event: () => {},
    });
    this.written = written;
  }

  readonly written: (bytes: Uint8Array) => number;

  async start(from: Parameters<Accelerator['start']>[0]): Promise<void> {
    const { module, linear, core, ramSize, places } = this.hardware;
    this.accel = await choice.create({
      module, memory: linear.memory, core, ramSize, devices: places, cpus: config.cpus, cpuModel: undefined, trace: undefined, ringerHooks: () => ({}),
      onKick: () => {}, onGoesOn: () => {}, onEvent: () => {}, onSerial: this.written, onExit: (exit) => this.#end.resolve(exit.kind), onEntered: () => {}, onThreads: () => {},
    } as Parameters<typeof choice.create>[0]);
    await this.accel.start(from);
  }

  async stop(): Promise<void> {
    await this.accel.stop();
    releaseMemory(this.hardware.linear);
  }
}

/** State ranges and RAM, as copies. */
function memoryOf({ linear: { memory }, ramSize }: Hardware): (readonly [number, Uint8Array])[] {
  return [...stateRanges(), [RAM_BASE, RAM_BASE + ramSize] as const].map(([start, end]) => [start, new Uint8Array(memory.buffer, start, end - start).slice()]);
}

const first = new Half();
await first.start(loadProgram(config, first.hardware));
await new Promise<void>((resolve) => {
  first.onOutput = () => {
    if (new RegExp(pattern).test(first.output)) resolve();
  };
});
await first.accel.pause();
const vcpus = (await first.accel.save?.()) as SavedVcpus;
const memory = memoryOf(first.hardware);
await first.stop();

const second = new Half();
for (const [start, bytes] of memory) new Uint8Array(second.hardware.linear.memory.buffer, start, bytes.length).set(bytes);
await second.start(vcpus);
const end = await second.ended;
await second.stop();
process.stdout.write(JSON.stringify({ end, first: first.output, second: second.output }));
