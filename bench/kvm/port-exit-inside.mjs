// Runs where KVM is (see port-exit.mjs): ticks of the guest's clock that one port exit takes, by a bare loop and by vmm in this
// process, and in QEMU's microvm, turn by turn. The last line is JSON.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [checkout, folder, rounds] = process.argv.slice(2);
const COUNT = 20_000;
const { Machine } = await import(join(checkout, 'dist/vmm.js'));
const koffi = createRequire(join(checkout, 'package.json'))('@koromix/koffi-linux-x64/linux_x64/koffi.node');
const bareLoop = koffi.load(join(folder, 'bare.so')).func('int bare(const uint8_t *elf, size_t size, _Out_ uint8_t *out, size_t room)');
const kernel = join(folder, 'guest.elf');
const elf = readFileSync(kernel);

function bare() {
  const out = new Uint8Array(4096);
  const length = bareLoop(elf, elf.length, out, out.length);
  if (length < 0) throw new Error(`the bare loop failed at step ${-length}`);
  return Buffer.from(out.subarray(0, length)).toString('latin1');
}

async function vmm() {
  let text = '';
  const console = async (bytes) => { text += Buffer.from(bytes).toString('latin1'); };
  const machine = new Machine({ kernel, append: '', memoryMib: 32, cpus: 1, accel: 'kvm', console: 'serial', exitOnPort: true, exitOnReboot: true }, { console });
  const result = await machine.run({ signal: AbortSignal.timeout(60_000) });
  return text || JSON.stringify(result);
}

function qemu() {
  const args = ['-M', 'microvm,acpi=off,isa-serial=on,pit=off,pic=off,rtc=off', '-accel', 'kvm', '-cpu', 'qemu64', '-m', '32', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4', '-kernel', kernel];
  const { stdout, stderr } = spawnSync('qemu-system-x86_64', args, { encoding: 'latin1', timeout: 60_000 });
  return stdout || stderr;
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const taken = { bare: [], vmm: [], qemu: [] };
const sides = { bare, vmm, qemu };
for (let round = 0; round < Number(rounds); round++) {
  for (const name of round % 2 === 0 ? ['bare', 'vmm', 'qemu'] : ['qemu', 'vmm', 'bare']) {
    const text = await sides[name]();
    const ticks = [...text.matchAll(/^(\d+)\r?$/gm)].map(([, number]) => Number(number) / COUNT);
    if (ticks.length < 3) throw new Error(`${name} did not end: ${text}`);
    // The first tells how long compilers take, not exits.
    taken[name].push(median(ticks.slice(1)));
    process.stderr.write(`${round} ${name}: ${ticks.map((value) => value.toFixed(0)).join(' ')}\n`);
  }
}
const perUs = Number(spawnSync(join(folder, 'tsc'), { encoding: 'utf8' }).stdout) / 1e6;
process.stdout.write(`${JSON.stringify({ taken, perUs })}\n`);
