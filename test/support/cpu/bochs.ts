/**
 * The test guests of test/programs/cpu under Bochs, an emulator that shares nothing with QEMU: from a disk whose boot sector
 * (bochs-boot.S) does what a PVH loader does. Debian: bochs, bochsbios, vgabios.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const guests = new URL('../../programs/cpu', import.meta.url).pathname;
const BOCHS = '/usr/bin/bochs';
export const BOCHS_BIOS = '/usr/share/bochs/BIOS-bochs-latest';
export const BOCHS_VGA_BIOS = '/usr/share/bochs/VGABIOS-lgpl-latest';
const SECTOR = 512;
/** What INT 13h reads at once, see bochs-boot.S. */
const CHUNK = 64 * SECTOR;
const HEADS = 16;
const PER_TRACK = 63;

export const hasBochs = [BOCHS, BOCHS_BIOS, BOCHS_VGA_BIOS].every((path) => existsSync(path));

/** The ELF's loaded bytes in one piece, from the lowest address on. */
function flatten(elf: Buffer): { base: number; end: number; entry: number; bytes: Buffer } {
  const table = Number(elf.readBigUInt64LE(32));
  const loads = Array.from({ length: elf.readUInt16LE(56) }, (_, i) => table + i * 56)
    .filter((at) => elf.readUInt32LE(at) === 1)
    .map((at) => {
      const [offset, address, filed, size] = [8, 24, 32, 40].map((field) => Number(elf.readBigUInt64LE(at + field))) as [number, number, number, number];
      return { offset, address, filed, size };
    });
  const base = Math.min(...loads.map((l) => l.address));
  const bytes = Buffer.alloc(Math.max(...loads.map((l) => l.address + l.filed)) - base);
  for (const l of loads) elf.copy(bytes, l.address - base, l.offset, l.offset + l.filed);
  return { base, end: Math.max(...loads.map((l) => l.address + l.size)), entry: Number(elf.readBigUInt64LE(24)), bytes };
}

function makeDisk(elf: string, dir: string): { path: string; cylinders: number } {
  const image = flatten(readFileSync(elf));
  const chunks = Math.ceil(image.bytes.length / CHUNK);
  const symbols = { BASE: image.base, BYTES: image.bytes.length, END: image.end, ENTRY: image.entry, SECTORS: chunks * 64 };
  const defsym = Object.entries(symbols).map(([name, value]) => `-Wa,--defsym,${name}=${value}`);
  const object = join(dir, 'boot.o');
  const sector = join(dir, 'boot.bin');
  execFileSync('gcc', ['-c', '-m64', ...defsym, '-o', object, join(guests, 'bochs-boot.S')]);
  execFileSync('ld', ['-Ttext=0x7c00', '--oformat=binary', '-e', '0x7c00', '-o', sector, object]);
  const cylinder = HEADS * PER_TRACK * SECTOR;
  const cylinders = Math.ceil((SECTOR + chunks * CHUNK) / cylinder);
  const disk = Buffer.alloc(cylinders * cylinder);
  readFileSync(sector).copy(disk);
  image.bytes.copy(disk, SECTOR);
  const path = join(dir, 'disk.img');
  writeFileSync(path, disk);
  return { path, cylinders };
}

/**
 * What the guest prints to COM1. The guest's own exit ends Bochs by its shutdown port; else it ends after `seconds`, or at a
 * triple fault.
 */
export async function runBochs(elf: string, cpus = 1, seconds = 100): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'vmm-bochs-'));
  try {
    const disk = makeDisk(elf, dir);
    const serial = join(dir, 'serial');
    writeFileSync(serial, '');
    await runBochsConfig(dir, `megs: 64
romimage: file=${BOCHS_BIOS}
vgaromimage: file=${BOCHS_VGA_BIOS}
cpu: model=core2_penryn_t9600, count=${cpus}, ips=100000000, ignore_bad_msrs=0, reset_on_triple_fault=0
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path="${disk.path}", mode=flat, cylinders=${disk.cylinders}, heads=${HEADS}, spt=${PER_TRACK}
boot: disk
com1: enabled=1, mode=file, dev="${serial}"
log: "${join(dir, 'log')}"
`, seconds);
    return readFileSync(serial, 'latin1');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Runs a Bochs with this machine until it ends by itself, or for `seconds`. */
export async function runBochsConfig(dir: string, machine: string, seconds: number): Promise<void> {
  const config = join(dir, 'bochsrc');
  writeFileSync(config, `display_library: rfb, options="timeout=0"
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
${machine}panic: action=fatal
error: action=report
info: action=report
`);
  const commands = join(dir, 'commands'); // Debian's Bochs has the debugger in it, which waits for some
  writeFileSync(commands, 'continue\nquit\n');
  const child = spawn(BOCHS, ['-q', '-f', config, '-rc', commands], { cwd: dir, stdio: 'ignore' });
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
