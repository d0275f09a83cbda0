/* Halts with interrupts off: only the host can end it. */
#include "pvh.inc"
start:
    mark 0x10
    cli
1:  hlt
    jmp 1b
