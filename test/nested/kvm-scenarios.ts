/** Program of kvm.test.ts, run where KVM is: `node main.js GUESTS-DIR SCENARIO…` prints one line of JSON a scenario. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { getHeapSnapshot } from 'node:v8';
import { KvmTestMachine } from './kvm-machine.ts';
import { selfTest } from '../../vmm/kvm/selftest.ts';

const [dir = '', ...names] = process.argv.slice(2);
const guest = (name: string): string => join(dir, `${name}.elf`);
const hex = (value: bigint | undefined): string => (value ?? -1n).toString(16);

const scenarios: Record<string, () => Promise<unknown>> = {
  async ports() {
    const machine = await KvmTestMachine.start(guest('ports'));
    const exit = await machine.exit;
    await machine.stop();
    return { exit, marks: machine.marks, serial: machine.serial, entered: machine.entered };
  },

  async mmio() {
    const machine = await KvmTestMachine.start(guest('mmio'));
    const exit = await machine.exit;
    const mmio = machine.exits(6);
    await machine.kicked();
    await machine.stop();
    return { exit, marks: machine.marks, mmio, kicks: machine.kicks };
  },

  async irq() {
    const machine = await KvmTestMachine.start(guest('irq'));
    await machine.marked(0x10);
    machine.accel.interrupt(5);
    const exit = await machine.exit;
    await machine.stop();
    return { exit, marks: machine.marks };
  },

  async smp() {
    const machine = await KvmTestMachine.start(guest('smp'), { cpus: 4 });
    const exit = await machine.exit;
    const stopped = await machine.stop();
    return { exit, marks: [...machine.marks].sort(), stopped };
  },

  async triple() {
    const machine = await KvmTestMachine.start(guest('triple'), { cpus: 2 });
    const exit = await machine.exit;
    const registers = machine.accel.registers(0);
    const other = machine.accel.registers(1);
    await machine.stop();
    return { exit, rbx: hex(registers.get('rbx')), cr0: hex(registers.get('cr0')), cs: hex(registers.get('cs')), other: other.size };
  },

  async badinsn() {
    const machine = await KvmTestMachine.start(guest('badinsn'));
    const exit = await machine.exit;
    await machine.stop();
    return { exit };
  },

  /** How long a guest that does not cooperate stays in after a pause, milliseconds. */
  async stops() {
    const results: Record<string, number[]> = {};
    for (const name of ['spin', 'halt', 'flood']) {
      results[name] = [];
      const machine = await KvmTestMachine.start(guest(name));
      const pause = async (): Promise<void> => {
        const start = performance.now();
        await machine.accel.pause();
        results[name]?.push(Math.round(performance.now() - start));
        machine.accel.resume();
      };
      // Its thread may still be starting.
      await machine.accel.pause();
      machine.accel.resume();
      await machine.marked(0x10);
      await pause();
      await machine.stop();
    }
    return results;
  },

  async pause() {
    const machine = await KvmTestMachine.start(guest('flood'));
    await machine.marked(0x10);
    const counts: number[] = [];
    for (let i = 0; i < 3; i++) {
      await machine.accel.pause();
      const before = machine.exits(2);
      await new Promise((done) => setTimeout(done, 50));
      counts.push(machine.exits(2) - before);
      machine.accel.resume();
      // Resumed: the guest makes exits again.
      while (machine.exits(2) === before) await new Promise((done) => setTimeout(done, 1));
    }
    await machine.stop();
    return { counts };
  },

  async models() {
    const marks: Record<string, number[]> = {};
    for (const cpuModel of ['host', 'baseline', 'x86-64-v2'] as const) {
      const machine = await KvmTestMachine.start(guest('cpuid'), { cpus: 2, cpuModel });
      await machine.exit;
      await machine.stop();
      marks[cpuModel] = machine.marks;
    }
    return marks;
  },

  async selftest() {
    return { real: selfTest(), missing: selfTest('/dev/no-kvm'), bare: selfTest('/dev/kvm', '/nowhere') };
  },

  /** Creates and destroys CHURN machines, of which CHURN_RUN run a guest; what the process and KVM hold before and after. */
  async churn() {
    const count = Number(process.env.CHURN ?? '100');
    // What is garbage already is V8's affair. A heap snapshot is the one call that collects, and gives back, all of it.
    const collect = async (): Promise<void> => {
      getHeapSnapshot().destroy();
      await new Promise((done) => setImmediate(done));
    };
    const look = () => ({
      fds: readdirSync('/proc/self/fd').length,
      threads: readdirSync('/proc/self/task').length,
      mappings: readFileSync('/proc/self/maps', 'utf8').split('\n').length,
      vms: kvmVms(),
      rssMib: Math.round(process.memoryUsage.rss() / 2 ** 20),
    });
    const one = async (runs: boolean): Promise<void> => {
      const machine = await (runs ? KvmTestMachine.start(guest('ports')) : KvmTestMachine.build(guest('ports'), { cpus: 2 }));
      if (runs) await machine.exit;
      await machine.stop();
    };
    const full = Number(process.env.CHURN_RUN ?? '3');
    for (let i = 0; i < 3; i++) await one(i === 0);
    await collect();
    const before = look();
    for (let i = 0; i < count; i++) await one(i < full);
    await collect();
    return { before, after: look(), names: readdirSync('/proc/self/task').map((task) => readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim()).sort() };
  },
};

/** VMs that KVM knows of on this host, -1 where debugfs does not say: one directory each beside the counters. */
function kvmVms(): number {
  try {
    return readdirSync('/sys/kernel/debug/kvm', { withFileTypes: true }).filter((entry) => entry.isDirectory()).length;
  } catch {
    return -1;
  }
}

for (const name of names) {
  const scenario = scenarios[name];
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  const start = performance.now();
  const limit = setTimeout(() => {
    process.stderr.write(`scenario ${name} does not end\n`);
    process.kill(process.pid, 'SIGKILL');
  }, Number(process.env.LIMIT_MS ?? '60000'));
  const result = await scenario();
  clearTimeout(limit);
  process.stdout.write(`${JSON.stringify({ name, ms: Math.round(performance.now() - start), result })}\n`);
}
