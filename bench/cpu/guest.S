# The benchmark's guest: runs each program of `programs` and says on COM1 when it starts ("> NAME") and with what it ends
# ("= RESULT"), and "> end" at last, after which it waits to be stopped. The same ELF runs under QEMU and under vmm.
  .include "common.inc"

main:
  lea programs(%rip), %rbx
1:
  mov (%rbx), %rsi
  test %rsi, %rsi
  jz 2f
  SAY "> "
  call puts
  call newline
  mov 8(%rbx), %rax
  mov 16(%rbx), %edi
  mov 24(%rbx), %rsi
  call *%rax
  SAY "= "
  call put_hex
  call newline
  add $32, %rbx
  jmp 1b
2:
  SAY "> end\n"
3:
  pause
  jmp 3b

# RSI copies of 4 KiB by SSE2, as a C library's memcpy does it
sse2_copy:
  mov %rsi, %rax
1:
  mov $copy_from, %esi
  mov $copy_to, %edi
  mov $4096 / 64, %ecx
2:
  movdqu (%rsi), %xmm0
  movdqu 16(%rsi), %xmm1
  movdqu 32(%rsi), %xmm2
  movdqu 48(%rsi), %xmm3
  movdqa %xmm0, (%rdi)
  movdqa %xmm1, 16(%rdi)
  movdqa %xmm2, 32(%rdi)
  movdqa %xmm3, 48(%rdi)
  add $64, %rsi
  add $64, %rdi
  dec %ecx
  jnz 2b
  dec %rax
  jnz 1b
  ret

# RSI copies of 1 MiB by REP MOVSB
rep_movsb:
  mov %rsi, %rax
1:
  mov $copy_from, %esi
  mov $copy_to, %edi
  mov $0x100000, %ecx
  rep movsb
  dec %rax
  jnz 1b
  ret

.macro PROGRAM name, routine, number, turns
  .data 1
6666:
  .asciz "\name"
  .data
  .quad 6666b, \routine, \number, \turns
.endm

  .data
  .balign 8
programs:
  PROGRAM "warm-up", cpubench, 3, 10
  PROGRAM "register loop", cpubench, 0, 36000000
  PROGRAM "CRC-32", cpubench, 1, 300
  PROGRAM "sieve", cpubench, 2, 200
  PROGRAM "quicksort", cpubench, 3, 80
  PROGRAM "SHA-256", cpubench, 4, 80000
  PROGRAM "matrix of doubles", matrix, 0, 75
  PROGRAM "SSE2 copy of 4 KiB", sse2_copy, 0, 150000
  PROGRAM "rep movsb of 1 MiB", rep_movsb, 0, 400
  .quad 0
  .bss
  .balign 4096
copy_from: .skip 0x100000
  .skip 0x5000                        # else both fall into the same entries of QEMU's TLB, which has 256 at first
copy_to: .skip 0x100000
