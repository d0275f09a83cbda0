/* Port exits of each size and direction, string output, then power-off. Marks what it read. */
#include "pvh.inc"
start:
    mov $stack, %esp
    mov $POWER_PORT, %dx
    in %dx, %al                 /* the signature */
    mov $MARK_PORT, %dx
    out %al, %dx
    mov $0x7777, %dx            /* nobody's port */
    in %dx, %ax
    mov $MARK_PORT, %dx
    out %al, %dx
    mov $COM1, %dx
    mov $text, %esi
    mov $(text_end - text), %ecx
    cld
    rep outsb
    poweroff
text:
    .ascii "through COM1\n"
text_end:
