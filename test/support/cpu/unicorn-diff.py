"""32-bit cases by Unicorn (QEMU's translator), where the host has no 32-bit code segments: same cases and results as
cpudiff.c, but a fault only gets vector 255. Usage: unicorn-diff.py < cases > results (Debian: python3-unicorn)."""
import os
import struct
import sys

from unicorn import UC_ARCH_X86, UC_MODE_32, UC_PROT_ALL, UC_PROT_READ, UC_PROT_WRITE, Uc, UcError
from unicorn.x86_const import (
    UC_X86_REG_EAX, UC_X86_REG_EBP, UC_X86_REG_EBX, UC_X86_REG_ECX, UC_X86_REG_EDI, UC_X86_REG_EDX, UC_X86_REG_EFLAGS,
    UC_X86_REG_EIP, UC_X86_REG_ESI, UC_X86_REG_ESP,
)

CODE, DATA, READONLY = 0x10000000, 0x20001000, 0x20010000
WINDOW = DATA + 4096 - 256
NOWHERE = 0x5EED1235
REGS = [UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX, UC_X86_REG_ESP, UC_X86_REG_EBP, UC_X86_REG_ESI, UC_X86_REG_EDI]
M = (1 << 64) - 1


def fill(seed, words):
    out = bytearray()
    s = seed | 1
    for _ in range(words):
        s ^= (s << 13) & M
        s ^= s >> 7
        s ^= (s << 17) & M
        out += struct.pack("<Q", s)
    return bytes(out)


def machine():
    uc = Uc(UC_ARCH_X86, UC_MODE_32)
    uc.mem_map(CODE, 8192, UC_PROT_ALL)
    uc.mem_map(DATA, 8192, UC_PROT_READ | UC_PROT_WRITE)
    uc.mem_map(READONLY, 4096, UC_PROT_READ)
    uc.mem_write(READONLY, fill(77, 512))
    return uc


def run(uc, k):
    uc.mem_write(CODE, b"\xf4" * 8192)
    uc.mem_write(DATA, bytes(8192))
    offset, = struct.unpack_from("<Q", k, 8)
    uc.mem_write(CODE + offset, k[16:16 + k[0]])
    uc.ctl_remove_cache(CODE, CODE + 8192)
    flags, seed = struct.unpack_from("<QQ", k, 192)
    uc.mem_write(WINDOW, fill(seed, 64))
    for i, r in enumerate(REGS):
        uc.reg_write(r, struct.unpack_from("<Q", k, 64 + 8 * i)[0] & 0xFFFFFFFF)
    uc.reg_write(UC_X86_REG_EFLAGS, flags & 0xFFFFFFFF)
    vector = 13
    try:
        # by count: a limit in time cuts off what a busy host leaves waiting; jumps to 0 happen, to NOWHERE not
        uc.emu_start(CODE + offset, NOWHERE, count=5000)
        rip = (uc.reg_read(UC_X86_REG_EIP) - 1) & 0xFFFFFFFF  # behind HLT
    except UcError:
        vector = 255
        rip = uc.reg_read(UC_X86_REG_EIP)
    regs = [uc.reg_read(r) for r in REGS] + [0] * 8
    head = struct.pack("<16QQQIIQ", *regs, rip, uc.reg_read(UC_X86_REG_EFLAGS), vector, 0, 0)
    return head + bytes(uc.mem_read(WINDOW, 512))


def main():
    cases = sys.stdin.buffer.read()
    at = 0
    # Unicorn aborts on some undefined encodings: a child process works until that happens, the next goes on behind it
    while at < len(cases):
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(r)
            uc = machine()
            for k in range(at, min(at + 208 * 500, len(cases)), 208):
                os.write(w, run(uc, cases[k:k + 208]))
            os._exit(0)
        os.close(w)
        with os.fdopen(r, "rb") as pipe:
            out = pipe.read()
        _, status = os.waitpid(pid, 0)
        done = len(out) // 672
        sys.stdout.buffer.write(out[:done * 672])
        at += done * 208
        if status != 0 and at < len(cases):
            sys.stdout.buffer.write(bytes(144) + struct.pack("<I", 255) + bytes(524))
            at += 208


main()
