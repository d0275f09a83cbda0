// Runs where KVM is (see peers.mjs): the guest of guest.c in vmm and in QEMU's microvm, turn by turn. The last line is JSON.
import { spawn, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [rounds = '3', sizes = '3000,128,64', accel = 'kvm'] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const checkout = process.env.VMM_ROOT ?? join(here, '../..');
const { Machine } = await import(join(checkout, 'dist/vmm.js'));
const kernel = join(checkout, '.cache/guest/vmlinux');
const initrd = join(here, 'guest.cpio');
const disk = process.env.VMM_IO_DISK ?? '/host/io.img';
const append = `console=ttyS0 quiet panic=-1 reboot=t tsc=reliable io=${sizes}`;
const CHUNK = Buffer.alloc(65536);

spawnSync('modprobe', ['vhost_vsock']);
spawnSync('dd', ['if=/dev/zero', `of=${disk}`, 'bs=1M', 'count=256', 'conv=fsync'], { stdio: 'ignore' });
// In the page cache of the host, so that the path of a request is measured and not the disk below.
spawnSync('cat', [disk], { stdio: 'ignore' });

/** The answers of sink.c, on a stream of vmm's. */
async function answer(stream) {
  let left = -1;
  stream.onData(async (bytes) => {
    let data = bytes;
    if (left < 0) {
      const head = Buffer.from(data);
      left = head.readUInt32LE(4) * 2 ** 20;
      data = data.subarray(8);
      if (head.readUInt32LE(0) === 1) {
        for (; left > 0; left -= CHUNK.length) await stream.write(CHUNK);
        return;
      }
    }
    left -= data.length;
    if (left === 0) await stream.write(Buffer.from('k'));
  });
}

async function vmm() {
  let text = '';
  const machine = new Machine(
    { kernel, initrd, append, memoryMib: 256, cpus: 1, accel, acpi: 'off', disks: [{ path: disk, readOnly: false, id: 'io' }], console: 'serial', vsock: true, exitOnReboot: true },
    { console: async (bytes) => { text += Buffer.from(bytes).toString('latin1'); } },
  );
  machine.vsock.listen(5000, answer);
  const result = await machine.run({ signal: AbortSignal.timeout(400_000) });
  return text.includes('io END') ? text : `${text}\nvmm: ${JSON.stringify(result)}`;
}

function qemu() {
  const args = [
    '-M', 'microvm,acpi=off,isa-serial=on,pit=off,pic=off,rtc=off', '-accel', 'kvm', '-cpu', 'host', '-m', '256', '-smp', '1', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
    '-serial', 'stdio', '-global', 'virtio-mmio.force-legacy=false', '-kernel', kernel, '-initrd', initrd, '-append', append,
    '-object', 'iothread,id=io0', '-drive', `if=none,id=d,file=${disk},format=raw,aio=io_uring`, '-device', 'virtio-blk-device,drive=d,iothread=io0',
    '-device', 'vhost-vsock-device,guest-cid=7',
  ];
  return new Promise((resolve) => {
    const sink = spawn(join(here, 'sink'), [], { stdio: 'ignore' });
    const child = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { text += bytes.toString('latin1'); });
    const timer = setTimeout(() => child.kill('SIGKILL'), 400_000);
    child.on('close', () => {
      clearTimeout(timer);
      sink.kill();
      resolve(text);
    });
  });
}

/** A round's tests by name: { bytes, seconds }. */
const all = { vmm: [], qemu: [] };
for (let round = 0; round < Number(rounds); round++) {
  const order = round % 2 === 0 ? [['vmm', vmm], ['qemu', qemu]] : [['qemu', qemu], ['vmm', vmm]];
  for (const [who, run] of order) {
    const text = await run();
    if (!text.includes('io END')) throw new Error(`${who} did not end:\n${text.slice(-1500)}`);
    const found = [...text.matchAll(/^io (\S+) (\d+) (\d+)/gm)].filter(([, name]) => name !== 'END' && name !== 'warm');
    all[who].push(Object.fromEntries(found.map(([, name, bytes, ns]) => [name, { bytes: Number(bytes), seconds: Number(ns) / 1e9 }])));
    process.stderr.write(`round ${round} ${who}: ${found.map(([, name, , ns]) => `${name} ${(Number(ns) / 1e6).toFixed(0)} ms`).join(', ')}\n`);
  }
}
process.stdout.write(`${JSON.stringify(all)}\n`);
