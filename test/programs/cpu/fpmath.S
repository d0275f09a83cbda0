# Entry of fpmath.c.
  .include "common.inc"

  .globl main
main:
  sub $8, %rsp
  call guest_main
  add $8, %rsp
  ret

  .section .note.GNU-stack, "", @progbits
