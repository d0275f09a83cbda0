# Code that is called again and again while its page is mapped elsewhere: by MOV to CR3 where the mapping is not global, by INVLPG where it is,
# in both halves of the address space. Whatever a CPU has learnt of where calls and jumps lead must go with the mapping.
  .include "common.inc"

  .set HIGH, 0xffff800000004000       # the same table as TEST_VA's, by PML4 entry 256; other pages, for a cache of jumps may be hashed by address

  .macro MAP page, entry:vararg
  mov $TEST_VA + (\page << 12), %rdi
  lea \entry, %rax
  call set_pte
  add $0x4000, %rdi
  call set_pte
  .endm

  .macro RELOAD
  mov %cr3, %rax
  mov %rax, %cr3
  .endm

  # calls both pages at \base: 16 times what they return, as digits of a sum
  .macro CALLS base
  mov $\base, %r8
  lea 0x1000(%r8), %r9
  call calls
  .endm

main:
  mov pml4 + 8, %rax
  mov %rax, pml4 + 256 * 8
  mov %cr4, %rax
  or $0x80, %rax                      # PGE
  mov %rax, %cr4
  xor %r13d, %r13d
  mov $50, %ebp
1:
  MAP 0, one + P
  MAP 1, jumps + P
  RELOAD
  CALLS TEST_VA
  CALLS HIGH
  MAP 0, two + P
  RELOAD
  CALLS TEST_VA
  CALLS HIGH
  # page 0 global, page 1 not
  MAP 0, one + P + G
  MAP 1, jumps2 + P
  mov $TEST_VA, %r8
  invlpg (%r8)
  mov $HIGH, %r8
  invlpg (%r8)
  RELOAD
  CALLS HIGH
  CALLS TEST_VA
  MAP 1, jumps + P
  RELOAD
  CALLS HIGH
  CALLS TEST_VA
  MAP 0, two + P + G
  mov $TEST_VA, %r8
  invlpg (%r8)
  mov $HIGH, %r8
  invlpg (%r8)
  CALLS HIGH
  CALLS TEST_VA
  MAP 0, one + P
  mov $TEST_VA, %r8
  invlpg (%r8)
  mov $HIGH, %r8
  invlpg (%r8)
  dec %ebp
  jnz 1b
  SAY "sum "
  HEX %r13
  call newline
  xor %eax, %eax
  ret

calls:
  mov $16, %ecx
2:
  call *%r8
  imul $3, %r13, %r13
  add %rax, %r13
  call *%r9
  imul $3, %r13, %r13
  add %rax, %r13
  dec %ecx
  jnz 2b
  ret

  .balign 4096
one:
  mov $1, %eax
  ret
  .balign 4096
two:
  mov $2, %eax
  ret
  .balign 4096
jumps:                                # a direct jump into the page before: a link over pages
  jmp jumps - 4096
  .balign 4096
jumps2:
  nop
  jmp jumps2 - 4096
  .balign 4096
