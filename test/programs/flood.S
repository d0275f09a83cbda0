/* Exits as fast as it can. */
#include "pvh.inc"
start:
    mark 0x10
    mov $0x7777, %dx
1:  in %dx, %al
    jmp 1b
