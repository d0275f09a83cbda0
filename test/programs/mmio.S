/* MMIO exits: the virtio magic number byte by byte as marks, an unclaimed address, and QueueNotify, which does not exit. */
#include "pvh.inc"
start:
    mov $stack, %esp
    mov VIRTIO_MMIO, %eax
    mov $MARK_PORT, %dx
    mov $4, %ecx
1:  out %al, %dx
    shr $8, %eax
    loop 1b
    mov $0xd8000000, %ebx
    mov (%ebx), %al             /* nobody's: all ones */
    out %al, %dx
    movl $0, VIRTIO_MMIO + 0x50
    poweroff
