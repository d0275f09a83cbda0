/** The least program of x86-64, as a static ELF: xor edi, edi; mov eax, 231 (exit_group); syscall. */
export function leastProgram() {
  const LOAD = 0x40_0000n;
  const HEADERS = 64 + 56;
  const text = [0x31, 0xff, 0xb8, 0xe7, 0x00, 0x00, 0x00, 0x0f, 0x05];
  const elf = Buffer.alloc(HEADERS + text.length);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELFCLASS64, ELFDATA2LSB, EV_CURRENT
  [2, 62].forEach((half, i) => elf.writeUInt16LE(half, 16 + 2 * i)); // ET_EXEC, EM_X86_64
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(LOAD + BigInt(HEADERS), 24); // e_entry
  elf.writeBigUInt64LE(64n, 32); // e_phoff
  [64, 56, 1].forEach((half, i) => elf.writeUInt16LE(half, 52 + 2 * i)); // e_ehsize, e_phentsize, e_phnum
  [1, 5].forEach((word, i) => elf.writeUInt32LE(word, 64 + 4 * i)); // PT_LOAD, PF_R | PF_X
  [0n, LOAD, LOAD, BigInt(elf.length), BigInt(elf.length), 0x1000n].forEach((word, i) => elf.writeBigUInt64LE(word, 72 + 8 * i));
  elf.set(text, HEADERS);
  return elf;
}
