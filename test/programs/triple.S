/* A breakpoint without an IDT: triple fault. */
#include "pvh.inc"
start:
    mov $0x1234abcd, %ebx
    lidt empty
    int3
empty:
    .word 0
    .long 0
