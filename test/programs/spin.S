/* Never leaves the guest by itself. */
#include "pvh.inc"
start:
    mark 0x10
1:  jmp 1b
