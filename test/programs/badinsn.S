/* Runs code where nothing is mapped but MMIO: KVM cannot emulate it. */
#include "pvh.inc"
start:
    mov $0xd8000000, %eax
    jmp *%eax
