# A flat profile: a loop over 40 blocks of one page, none hotter than the others; 88 million instructions.
  .include "common.inc"

main:
  xor %eax, %eax
  mov $1080000, %ecx
  jmp 1f
  .balign 4096
1:
  .rept 40
  inc %rax
  jmp 2f
  nop
2:
  .endr
  dec %ecx
  jnz 1b
  SAY "flat\n"
  xor %eax, %eax
  ret
