/*
 * Counts on a port that is nobody's, 0 to COUNT - 1, then power-off.
 */
#include "pvh.inc"
.set COUNT, 4000
start:
    xor %eax, %eax
    mov $0x7778, %dx
1:  out %eax, %dx
    inc %eax
    cmp $COUNT, %eax
    jb 1b
    poweroff
