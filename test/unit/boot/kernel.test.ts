import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { loadKernel } from '../../../vmm/boot/kernel.ts';
import { BOOT_PARAMS_GPA, CMDLINE_GPA, PML4_GPA, PVH_MEMMAP_GPA, PVH_START_INFO_GPA } from '../../../vmm/boot/places.ts';
import { elf64 } from '../../support/guests/elf-image.ts';
import { FakeMemory } from '../../support/guests/memory.ts';

const MIB = 1 << 20;
let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-boot-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

function file(name: string, bytes: Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, bytes);
  return path;
}

const code = Uint8Array.of(0xf4, 1, 2, 3);

function load(kernel: Uint8Array, options: { append?: string; initrd?: Uint8Array; ram?: number } = {}) {
  const memory = new FakeMemory(options.ram ?? 32 * MIB);
  const loaded = loadKernel(memory, {
    kernel: file('kernel', kernel),
    initrd: options.initrd && file('initrd', options.initrd),
    append: options.append ?? '',
    rsdp: 0,
  });
  return { memory, loaded };
}

function errorOf(action: () => unknown): VmmError {
  try {
    action();
  } catch (error) {
    if (error instanceof VmmError) return error;
    throw error;
  }
  throw new Error('no error was thrown');
}

function bzImage(options: { version?: number; xloadflags?: number; setupSects?: number; kernelBytes?: number; initSize?: number } = {}): Uint8Array {
  const sects = options.setupSects ?? 1;
  const bytes = new Uint8Array((sects + 1) * 512 + (options.kernelBytes ?? 4096));
  const view = new DataView(bytes.buffer);
  bytes[0x1f1] = sects;
  view.setUint32(0x1f4, (options.kernelBytes ?? 4096) / 16, true);
  view.setUint16(0x1fe, 0xaa55, true);
  bytes[0x200] = 0xeb;
  bytes[0x201] = 0x66;
  bytes.set(Buffer.from('HdrS'), 0x202);
  view.setUint16(0x206, options.version ?? 0x20f, true);
  view.setUint32(0x22c, 0x7fff_ffff, true);
  view.setUint16(0x236, options.xloadflags ?? 1, true);
  view.setUint32(0x238, 2047, true);
  view.setBigUint64(0x258, 0x100_0000n, true);
  view.setUint32(0x260, options.initSize ?? 0x10000, true);
  return bytes;
}

describe('PVH', () => {
  it('ELF with a PVH note enters in 32-bit mode with EBX at the start info', () => {
    const { memory, loaded } = load(elf64({ entry: 0x100_0000n, pvhEntry: 0x100_0100, segments: [{ paddr: 0x100_0000, data: code, memSize: 8192 }] }), {
      append: 'quiet',
      initrd: Uint8Array.of(7, 7, 7),
    });
    expect(loaded.protocol).toBe('pvh');
    expect(loaded.entry).toMatchObject({ kind: 'protected32', eip: 0x100_0100, ebx: PVH_START_INFO_GPA });
    expect(memory.bytes.subarray(0x100_0000, 0x100_0004)).toEqual(code);
    expect(memory.view.getUint32(PVH_START_INFO_GPA, true)).toBe(0x336ec578);
    expect(memory.text(CMDLINE_GPA, 6)).toBe('quiet\0');
    const module = Number(memory.view.getBigUint64(PVH_START_INFO_GPA + 16, true));
    const initrd = Number(memory.view.getBigUint64(module, true));
    expect(memory.bytes.subarray(initrd, initrd + 3)).toEqual(Uint8Array.of(7, 7, 7));
    expect(initrd % 4096).toBe(0);
    const entries = memory.view.getUint32(PVH_START_INFO_GPA + 48, true);
    const last = PVH_MEMMAP_GPA + 24 * (entries - 1);
    expect(memory.view.getBigUint64(last, true) + memory.view.getBigUint64(last + 8, true)).toBe(BigInt(32 * MIB));
  });
});

describe('64-bit entry', () => {
  it('ELF without notes enters in long mode with RSI at the boot params and 4 GiB mapped', () => {
    const { memory, loaded } = load(elf64({ entry: 0x100_0000n, segments: [{ paddr: 0x100_0000, data: code }] }));
    expect(loaded.protocol).toBe('linux64');
    expect(loaded.entry).toMatchObject({ kind: 'long64', rip: 0x100_0000n, rsi: BOOT_PARAMS_GPA, cr3: PML4_GPA });
    expect(memory.view.getUint32(BOOT_PARAMS_GPA + 0x202, true)).toBe(0x53726448);
    // Walk the tables for the last 2 MiB below 4 GiB.
    const table = (entry: bigint): number => Number(entry & ~0xfffn);
    const pdpt = table(memory.view.getBigUint64(PML4_GPA, true));
    const pd = table(memory.view.getBigUint64(pdpt + 3 * 8, true));
    expect(memory.view.getBigUint64(pd + 511 * 8, true)).toBe(0xffe0_0083n);
  });

  it('a virtual entry address is turned into the physical one of its segment', () => {
    const { loaded } = load(elf64({ entry: 0xffff_ffff_8100_0010n, segments: [{ paddr: 0x100_0000, vaddr: 0xffff_ffff_8100_0000n, data: code, memSize: 4096 }] }));
    expect(loaded.entry).toMatchObject({ rip: 0x100_0010n });
  });
});

describe('bzImage', () => {
  it('is entered 0x200 behind its load address and keeps its setup header', () => {
    const { memory, loaded } = load(bzImage());
    expect(loaded.entry).toMatchObject({ kind: 'long64', rip: 0x100_0200n });
    expect(memory.view.getUint16(BOOT_PARAMS_GPA + 0x206, true)).toBe(0x20f);
    expect(memory.bytes[BOOT_PARAMS_GPA + 0x210]).toBe(0xff);
  });

  it('whose last paragraph is cut in the file is whole; one that lacks more is not', () => {
    const whole = bzImage();
    const { memory } = load(whole.subarray(0, whole.length - 15));
    expect(memory.view.getUint16(BOOT_PARAMS_GPA + 0x206, true)).toBe(0x20f);
    expect(errorOf(() => load(whole.subarray(0, whole.length - 16))).code).toBe('KERNEL_BAD');
  });

  it.each([
    ['an old protocol', { version: 0x20a }, 'KERNEL_UNSUPPORTED'],
    ['no 64-bit entry', { xloadflags: 0 }, 'KERNEL_UNSUPPORTED'],
    ['more init memory than RAM', { initSize: 0x7000_0000 }, 'MEMORY_SMALL'],
    ['setup code beyond its end', { setupSects: 1, kernelBytes: 0 }, 'KERNEL_BAD'],
  ])('%s is refused', (_name, options, code) => {
    expect(errorOf(() => load(bzImage(options))).code).toBe(code);
  });

  it('a file that is cut off is refused', () => {
    expect(errorOf(() => load(bzImage().subarray(0, 3000))).code).toBe('KERNEL_BAD');
  });
});

describe('multiboot 1', () => {
  const multiboot = new Uint8Array(new Uint32Array([0x1badb002, 3, -(0x1badb002 + 3) >>> 0]).buffer);

  it('ELF with a header enters with the loader magic in EAX', () => {
    const header = new Uint8Array(new Uint32Array([0x1badb002, 3, -(0x1badb002 + 3) >>> 0]).buffer);
    const { memory, loaded } = load(elf64({ entry: 0x10_0020n, segments: [{ paddr: 0x10_0000, data: header, memSize: 4096 }] }), { append: 'one two' });
    expect(loaded.protocol).toBe('multiboot');
    expect(loaded.entry).toMatchObject({ kind: 'protected32', eip: 0x10_0020, eax: 0x2badb002 });
    const ebx = (loaded.entry as { ebx: number }).ebx;
    expect(memory.view.getUint32(ebx, true) & 0x45).toBe(0x45);
    expect(memory.text(memory.view.getUint32(ebx + 16, true), 7)).toBe('one two');
  });

  it('the BIOS data area says where base memory ends and the extended BIOS data begins', () => {
    const { memory } = load(elf64({ entry: 0x10_0020n, segments: [{ paddr: 0x10_0000, data: multiboot }] }));
    expect(memory.view.getUint16(0x40e, true) * 16).toBe(0x9fc00);
    expect(memory.view.getUint16(0x413, true) * 1024).toBe(0x9fc00);
  });

  it('a segment below 1 MiB loads where nothing of ours lies, and the initrd is still above', () => {
    const low = { paddr: 0x8000, data: code, memSize: 0x4000 };
    const { memory, loaded } = load(elf64({ entry: 0x8000n, segments: [{ paddr: 0x10000, data: multiboot }, low] }), { initrd: Uint8Array.of(7) });
    expect(loaded.entry).toMatchObject({ eip: 0x8000 });
    expect(memory.bytes.subarray(0x8000, 0x8004)).toEqual(code);
    expect(loaded.initrd?.base).toBeGreaterThanOrEqual(MIB);
    for (const paddr of [0x400, 0x1000, 0x1ffff, 0x3000, 0x9fbff, 0xf0000]) {
      expect(errorOf(() => load(elf64({ entry: 0x8000n, segments: [{ paddr: 0x10_0000, data: multiboot }, { ...low, paddr, memSize: 4 }] }))).message).toMatch(/would lie over/);
    }
  });

  it('addresses in the header (bit 16) below 1 MiB are taken too', () => {
    const flags = 0x10003;
    const fields = [0x1badb002, flags, -(0x1badb002 + flags) >>> 0, 0x8000, 0x8000, 0, 0x9000, 0x8020];
    const { memory, loaded } = load(new Uint8Array(new Uint32Array([...fields, 0xf4]).buffer));
    expect(loaded.entry).toMatchObject({ eip: 0x8020 });
    expect(memory.view.getUint32(0x8000, true)).toBe(0x1badb002);
  });

  it('required features that are not offered are refused', () => {
    const header = new Uint8Array(new Uint32Array([0x1badb002, 4, -(0x1badb002 + 4) >>> 0]).buffer);
    expect(errorOf(() => load(elf64({ entry: 0x10_0020n, segments: [{ paddr: 0x10_0000, data: header }] }))).code).toBe('KERNEL_UNSUPPORTED');
  });
});

describe('bad input', () => {
  const good = elf64({ entry: 0x100_0000n, pvhEntry: 0x100_0000, segments: [{ paddr: 0x100_0000, data: code }] });

  it.each([
    ['an empty file', new Uint8Array(0), 'KERNEL_BAD'],
    ['text', Buffer.from('#!/bin/sh\n'), 'KERNEL_BAD'],
    ['an ELF cut in its header', good.subarray(0, 40), 'KERNEL_BAD'],
    ['an ELF cut in its program headers', good.subarray(0, 80), 'KERNEL_BAD'],
    ['an ELF cut in a segment', good.subarray(0, good.length - 26), 'KERNEL_BAD'],
    ['another machine', elf64({ entry: 0n, machine: 183, segments: [{ paddr: MIB, data: code }] }), 'KERNEL_BAD'],
    ['a relocatable object', elf64({ entry: 0n, type: 1, segments: [{ paddr: MIB, data: code }] }), 'KERNEL_BAD'],
    ['a segment below 1 MiB', elf64({ entry: 0n, segments: [{ paddr: 0x1000, data: code }] }), 'KERNEL_UNSUPPORTED'],
    ['a segment beyond RAM', elf64({ entry: 0n, segments: [{ paddr: 64 * MIB, data: code }] }), 'MEMORY_SMALL'],
    ['a segment of 2^60 bytes', elf64({ entry: 0n, segments: [{ paddr: MIB, data: code, memSize: 2 ** 60 }] }), 'MEMORY_SMALL'],
  ])('%s gives one clear error', (_name, bytes, code) => {
    const error = errorOf(() => load(bytes));
    expect(error.code).toBe(code);
    expect(error.message).not.toContain('\n');
  });

  it('a missing kernel, a directory and an initrd larger than RAM are told', () => {
    const memory = new FakeMemory(32 * MIB);
    expect(errorOf(() => loadKernel(memory, { kernel: join(dir, 'none'), append: '', rsdp: 0 })).code).toBe('KERNEL_OPEN');
    expect(errorOf(() => loadKernel(memory, { kernel: dir, append: '', rsdp: 0 })).code).toBe('KERNEL_OPEN');
    expect(errorOf(() => load(good, { initrd: new Uint8Array(16 * MIB), ram: 24 * MIB })).code).toBe('MEMORY_SMALL');
    expect(errorOf(() => load(good, { initrd: new Uint8Array(0) })).code).toBe('INITRD_BAD');
    expect(errorOf(() => load(good, { append: 'x'.repeat(2048) })).code).toBe('CMDLINE_LONG');
    expect(errorOf(() => load(good, { append: 'a\0b' })).code).toBe('CMDLINE_BAD');
  });

  it('random damage to a kernel either loads or gives a VmmError', () => {
    const sources = [good, bzImage(), elf64({ entry: 0x10_0020n, segments: [{ paddr: 0x10_0000, data: new Uint8Array(64) }] })];
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: sources.length - 1 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 4095 }), fc.integer({ min: 0, max: 255 })), { maxLength: 12 }),
        fc.integer({ min: 0, max: 5000 }),
        (which, edits, cut) => {
          const bytes = Uint8Array.from((sources[which] as Uint8Array).subarray(0, Math.max(0, (sources[which] as Uint8Array).length - (cut > 4000 ? cut - 4000 : 0))));
          for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
          try {
            load(bytes, { ram: 20 * MIB });
          } catch (error) {
            if (!(error instanceof VmmError)) throw error;
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
