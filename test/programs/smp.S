/* Starts local APICs 1..3 with INIT and SIPI; each marks 0x41 + its id and halts. vCPU 0 waits for all, then powers off. */
#include "pvh.inc"
.set TRAMPOLINE, 0x8000
start:
    mov $stack, %esp
    mov $ap, %esi
    mov $TRAMPOLINE, %edi
    mov $(ap_end - ap), %ecx
    cld
    rep movsb
    movl $0, TRAMPOLINE + 0x800
    movl $0x1ff, LAPIC + 0xf0
    mark 0x10
    movl $0x000c4500, LAPIC + 0x300                      /* INIT to all but self */
    mov $100000, %ecx
1:  pause
    loop 1b
    movl $(0x000c4600 | TRAMPOLINE >> 12), LAPIC + 0x300 /* SIPI to all but self */
    mov $100000, %ecx
1:  pause
    loop 1b
    movl $(0x000c4600 | TRAMPOLINE >> 12), LAPIC + 0x300
2:  pause
    cmpl $3, TRAMPOLINE + 0x800
    jb 2b
    mark 0x42
    poweroff
.code16
ap:
    mov $1, %eax
    cpuid
    shr $24, %ebx               /* initial local APIC id */
    mov %bl, %al
    add $0x41, %al
    mov $MARK_PORT, %dx
    out %al, %dx
    xor %ax, %ax
    mov %ax, %ds
    lock incl TRAMPOLINE + 0x800
3:  hlt
    jmp 3b
ap_end:
