/* Waits in HLT for one edge on the line of virtio slot 0 (GSI 5), routed by the IOAPIC to vector 0x40. */
#include "pvh.inc"
.set GSI, 5
.set VECTOR, 0x40
start:
    mov $stack, %esp
    mov $handler, %eax          /* gate: offset 15..0, selector 0x10, present 32-bit interrupt gate, offset 31..16 */
    mov %ax, gate
    shr $16, %eax
    mov %ax, gate + 6
    lidt idtr
    mov $0xff, %al              /* the PICs would deliver the line a second time, as vector 5 */
    out %al, $0x21
    out %al, $0xa1
    movl $0x1ff, LAPIC + 0xf0   /* spurious vector register: enable */
    movl $(0x10 + 2 * GSI + 1), IOAPIC
    movl $0, IOAPIC + 0x10      /* destination: local APIC 0 */
    movl $(0x10 + 2 * GSI), IOAPIC
    movl $VECTOR, IOAPIC + 0x10 /* fixed, physical, edge, high, unmasked */
    mark 0x10
    sti
1:  hlt
    jmp 1b
handler:
    mark 0x41
    movl $0, LAPIC + 0xb0
    poweroff
.data
.align 8
idt:
    .skip VECTOR * 8
gate:
    .word 0, 0x10, 0x8e00, 0
idtr:
    .word VECTOR * 8 + 7
    .long idt
