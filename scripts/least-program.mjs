/** Programs of x86-64 of a few instructions, as static ELFs: no compiler is needed. */

/** Does nothing: xor edi, edi; mov eax, 231 (exit_group); syscall. */
export function leastProgram() {
  return elfOf([0x31, 0xff, 0xb8, 0xe7, 0x00, 0x00, 0x00, 0x0f, 0x05]);
}

/** `mark C [PROGRAM ARGS…]`: writes C's byte to port 0x601, by which a guest tells its host where it is, and executes the program. Needs CAP_SYS_RAWIO. */
export function markProgram() {
  return elfOf([
    0x48, 0x8b, 0x5c, 0x24, 0x10, // mov rbx, [rsp + 16]: argv[1]
    0xbf, 0x03, 0x00, 0x00, 0x00, 0xb8, 0xac, 0x00, 0x00, 0x00, 0x0f, 0x05, // iopl(3)
    0x8a, 0x03, 0x66, 0xba, 0x01, 0x06, 0xee, // mov al, [rbx]; mov dx, 0x601; out dx, al
    0x31, 0xff, // xor edi, edi
    0x48, 0x8b, 0x0c, 0x24, 0x48, 0x83, 0xf9, 0x02, 0x76, 0x19, // mov rcx, [rsp]: argc; cmp rcx, 2; jbe exit
    0x48, 0x8b, 0x7c, 0x24, 0x18, 0x48, 0x8d, 0x74, 0x24, 0x18, // rdi = argv[2], rsi = &argv[2]
    0x48, 0x8d, 0x54, 0xcc, 0x10, 0xb8, 0x3b, 0x00, 0x00, 0x00, 0x0f, 0x05, 0x40, 0xb7, 0x7f, // execve(…, envp); else the status is 127
    0xb8, 0xe7, 0x00, 0x00, 0x00, 0x0f, 0x05, // exit: exit_group(edi)
  ]);
}

function elfOf(text) {
  const LOAD = 0x40_0000n;
  const HEADERS = 64 + 56;
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
