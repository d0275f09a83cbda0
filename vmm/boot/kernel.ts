import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';
import { writeBootParams } from './bootparams.ts';
import { isBzImage, parseBzImage } from './bzimage.ts';
import { type ElfFile, isElf, parseElf, type ReadAt } from './elf.ts';
import type { EntryState, GuestMemory } from './entry.ts';
import { writeGdt32, writeGdt64, writeIdentityMap } from './gdt.ts';
import { type InitrdPlace, loadInitrd } from './initrd.ts';
import { findMultiboot, MULTIBOOT_BOOTLOADER_MAGIC, type MultibootHeader, writeMultibootInfo } from './multiboot.ts';
import { CMDLINE_GPA, CMDLINE_MAX, HIGH_RAM_START, takenBelow1Mib } from './places.ts';
import { pvhEntry, writeStartInfo } from './pvh.ts';

export interface KernelRequest {
  readonly kernel: string;
  readonly initrd?: string | undefined;
  readonly append: string;
  /** Address of the ACPI RSDP, 0 when the machine has no ACPI. */
  readonly rsdp: number;
}

export interface LoadedKernel {
  readonly protocol: 'pvh' | 'linux64' | 'bzimage' | 'multiboot';
  readonly entry: EntryState;
  readonly initrd: InitrdPlace | undefined;
}

/**
 * Loads a kernel, its initrd and its command line into guest memory, and writes what its boot protocol asks for.
 * Recognised by content: ELF with a PVH note, multiboot 1 header, other x86-64 ELF (64-bit entry), bzImage.
 * Throws VmmError KERNEL_OPEN, KERNEL_BAD, KERNEL_UNSUPPORTED, CMDLINE_LONG, MEMORY_SMALL, INITRD_*.
 */
export function loadKernel(memory: GuestMemory, request: KernelRequest): LoadedKernel {
  const path = request.kernel;
  let fd: number;
  try {
    // Without waiting: a FIFO would hold us.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new VmmError('KERNEL_OPEN', `cannot open kernel ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check the path of --kernel' });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new VmmError('KERNEL_OPEN', `kernel ${path} is not a regular file`, { hint: 'give a vmlinux, a bzImage or a multiboot ELF' });
    const read: ReadAt = (position, length) => {
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, position));
    };
    const head = read(0, 0x300);
    writeCommandLine(memory, request.append);
    if (isElf(head)) return loadElf(memory, fd, read, stat.size, request);
    if (isBzImage(head)) return loadBzImage(memory, fd, read, stat.size, request);
    const multiboot = findMultiboot(read, path);
    if (multiboot?.kludge) return loadMultiboot(memory, fd, multiboot, undefined, stat.size, request);
    throw new VmmError('KERNEL_BAD', `${path}: not a kernel in a known format`, { hint: 'give a vmlinux (ELF), a bzImage or a multiboot 1 image' });
  } finally {
    closeSync(fd);
  }
}

function writeCommandLine(memory: GuestMemory, append: string): void {
  const bytes = Buffer.from(`${append}\0`, 'utf8');
  if (bytes.length > CMDLINE_MAX) {
    throw new VmmError('CMDLINE_LONG', `kernel command line of ${bytes.length - 1} bytes, at most ${CMDLINE_MAX - 1} fit`, { hint: 'shorten --append' });
  }
  if (bytes.indexOf(0) !== bytes.length - 1) throw new VmmError('CMDLINE_BAD', 'kernel command line contains a NUL byte', { hint: 'mend --append' });
  memory.write(CMDLINE_GPA, bytes);
}

function loadElf(memory: GuestMemory, fd: number, read: ReadAt, fileSize: number, request: KernelRequest): LoadedKernel {
  const path = request.kernel;
  const elf = parseElf(read, fileSize, path);
  const pvh = pvhEntry(elf);
  const multiboot = pvh === undefined ? findMultiboot(read, path) : undefined;
  if (multiboot) return loadMultiboot(memory, fd, multiboot, elf, fileSize, request);
  const end = loadSegments(memory, fd, elf, path, pvh === undefined ? 'linux64' : 'pvh');
  const initrd = request.initrd === undefined ? undefined : loadInitrd(memory, request.initrd, end);
  if (pvh !== undefined) {
    const ebx = writeStartInfo(memory, initrd, request.rsdp);
    return { protocol: 'pvh', entry: { kind: 'protected32', eip: pvh, eax: 0, ebx, gdt: writeGdt32(memory) }, initrd };
  }
  if (elf.bits !== 64) {
    throw new VmmError('KERNEL_UNSUPPORTED', `${path}: a 32-bit ELF without PVH note or multiboot header`, { hint: 'there is no way to enter it' });
  }
  const rsi = writeBootParams(memory, undefined, initrd, request.rsdp);
  const rip = entryPhysical(elf);
  return { protocol: 'linux64', entry: { kind: 'long64', rip, rsi, cr3: writeIdentityMap(memory), gdt: writeGdt64(memory) }, initrd };
}

/** The physical address of the entry: vmlinux names it physical already, other ELFs may name it virtual. */
function entryPhysical(elf: ElfFile): bigint {
  for (const s of elf.segments) {
    if (elf.entry >= s.paddr && elf.entry < s.paddr + BigInt(s.memSize)) return elf.entry;
  }
  for (const s of elf.segments) {
    if (elf.entry >= s.vaddr && elf.entry < s.vaddr + BigInt(s.memSize)) return s.paddr + (elf.entry - s.vaddr);
  }
  return elf.entry;
}

/** Throws KERNEL_UNSUPPORTED where part of a kernel would lie over data of ours. */
function refuseTaken(protocol: 'pvh' | 'linux64' | 'multiboot', from: number, to: number, path: string): void {
  const taken = takenBelow1Mib(protocol, from, to);
  if (taken !== undefined) throw new VmmError('KERNEL_UNSUPPORTED', `${path}: its part from 0x${from.toString(16)} to 0x${to.toString(16)} would lie over ${taken}`, { hint: 'link the kernel at 1 MiB or above' });
}

/** Loads all segments at their physical addresses; returns the first free address behind them. */
function loadSegments(memory: GuestMemory, fd: number, elf: ElfFile, path: string, protocol: 'pvh' | 'linux64' | 'multiboot'): number {
  let end = HIGH_RAM_START;
  for (const s of elf.segments) {
    const base = Number(s.paddr);
    refuseTaken(protocol, base, base + s.memSize, path);
    if (base + s.memSize > memory.ramSize) {
      throw new VmmError('MEMORY_SMALL', `${path}: needs memory up to 0x${(base + s.memSize).toString(16)}, the machine has ${memory.ramSize >>> 20} MiB`, { hint: 'raise --memory' });
    }
    // RAM is zero at start, so the part behind fileSize needs nothing.
    if (s.fileSize > 0) memory.readFile(fd, s.offset, base, s.fileSize);
    end = Math.max(end, base + s.memSize);
  }
  return end;
}

function loadBzImage(memory: GuestMemory, fd: number, read: ReadAt, fileSize: number, request: KernelRequest): LoadedKernel {
  const image = parseBzImage(read, fileSize, request.kernel);
  const need = image.loadAddress + Math.max(image.initSize, image.kernelSize);
  if (image.loadAddress < HIGH_RAM_START) {
    throw new VmmError('KERNEL_BAD', `${request.kernel}: load address 0x${image.loadAddress.toString(16)} lies below 1 MiB`);
  }
  if (need > memory.ramSize) {
    throw new VmmError('MEMORY_SMALL', `${request.kernel}: needs memory up to 0x${need.toString(16)}, the machine has ${memory.ramSize >>> 20} MiB`, { hint: 'raise --memory' });
  }
  if (Buffer.byteLength(request.append) > image.cmdlineSize) {
    throw new VmmError('CMDLINE_LONG', `kernel command line of ${Buffer.byteLength(request.append)} bytes, this kernel takes ${image.cmdlineSize}`, { hint: 'shorten --append' });
  }
  memory.readFile(fd, image.kernelOffset, image.loadAddress, image.kernelSize);
  const initrd = request.initrd === undefined ? undefined : loadInitrd(memory, request.initrd, need, image.initrdAddrMax);
  const rsi = writeBootParams(memory, image.setupHeader, initrd, request.rsdp);
  const rip = BigInt(image.loadAddress + 0x200);
  return { protocol: 'bzimage', entry: { kind: 'long64', rip, rsi, cr3: writeIdentityMap(memory), gdt: writeGdt64(memory) }, initrd };
}

function loadMultiboot(
  memory: GuestMemory,
  fd: number,
  header: MultibootHeader,
  elf: ElfFile | undefined,
  fileSize: number,
  request: KernelRequest,
): LoadedKernel {
  const path = request.kernel;
  let end: number;
  let eip: number;
  if (header.kludge) {
    const k = header.kludge;
    const size = k.loadEnd === 0 ? fileSize - k.fileOffset : k.loadEnd - k.loadAddr;
    const memEnd = Math.max(k.loadAddr + size, k.bssEnd);
    if (size <= 0 || k.fileOffset + size > fileSize) throw new VmmError('KERNEL_BAD', `${path}: multiboot load range lies beyond the file's end`);
    refuseTaken('multiboot', k.loadAddr, memEnd, path);
    if (memEnd > memory.ramSize) {
      throw new VmmError('MEMORY_SMALL', `${path}: needs memory up to 0x${memEnd.toString(16)}, the machine has ${memory.ramSize >>> 20} MiB`, { hint: 'raise --memory' });
    }
    memory.readFile(fd, k.fileOffset, k.loadAddr, size);
    end = Math.max(HIGH_RAM_START, memEnd);
    eip = k.entry;
  } else if (elf) {
    end = loadSegments(memory, fd, elf, path, 'multiboot');
    eip = Number(entryPhysical(elf));
  } else {
    throw new VmmError('KERNEL_BAD', `${path}: multiboot header without addresses in a file that is not ELF`);
  }
  const initrd = request.initrd === undefined ? undefined : loadInitrd(memory, request.initrd, end);
  const ebx = writeMultibootInfo(memory, initrd);
  return {
    protocol: 'multiboot',
    entry: { kind: 'protected32', eip, eax: MULTIBOOT_BOOTLOADER_MAGIC, ebx, gdt: writeGdt32(memory) },
    initrd,
  };
}
