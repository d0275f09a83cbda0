/* Writes to COM1 for ever. */
#include "pvh.inc"
start:
    mov $0x3f8, %dx
1:  mov $'x', %al
    out %al, %dx
    jmp 1b
