# A triple fault: no IDT, then an undefined opcode.
  .include "common.inc"
main:
  SAY "before\n"
  call drain
  movw $0, idt_pointer
  lidt idt_pointer
  ud2
