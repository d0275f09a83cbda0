/*
 * A ring-3 guest that writes COM1's scratch register COUNT times and tells on COM1 how many TSC ticks that took, ROUNDS times,
 * as 16 hexadecimal digits and a line feed; then a byte to port 0xf4. It runs alike in vmm, in QEMU and under a bare loop (port-exit.c).
 */
#include "pvh.inc"
.set COUNT, 20000
.set ROUNDS, 6
.set SCRATCH, COM1 + 7
.set EXIT_PORT, 0xf4

start:
    mov $stack, %esp
    lgdt gdt_pointer
    mov $0x1b, %ax              /* data, ring 3 */
    mov %ax, %ds
    mov %ax, %es
    push $0x1b
    push $stack
    push $0x3002                /* IOPL 3: ports without a TSS */
    push $0x13                  /* code, ring 3 */
    push $ring3
    iret

ring3:
    mov $ROUNDS, %ebp
round:
    lfence
    rdtsc
    mov %eax, %esi
    mov %edx, %edi
    mov $COUNT, %ecx
    mov $SCRATCH, %dx
1:  out %al, %dx
    dec %ecx
    jnz 1b
    lfence
    rdtsc
    sub %esi, %eax
    sbb %edi, %edx
    mov %eax, %esi              /* low half */
    mov %edx, %ebx
    call print
    mov %esi, %ebx
    call print
    mov $'\n', %al
    mov $COM1, %dx
    out %al, %dx
    dec %ebp
    jnz round
    mov $EXIT_PORT, %dx
    xor %eax, %eax
    out %al, %dx
2:  jmp 2b

print:                          /* %ebx as 8 digits */
    mov $8, %ecx
    mov $COM1, %dx
3:  rol $4, %ebx
    mov %bl, %al
    and $15, %al
    add $'0', %al
    cmp $'9', %al
    jbe 4f
    add $('a' - '9' - 1), %al
4:  out %al, %dx
    dec %ecx
    jnz 3b
    ret

.data
.align 8
gdt:
    .quad 0, 0
    .quad 0x00cffa000000ffff    /* 0x10 | 3: code */
    .quad 0x00cff2000000ffff    /* 0x18 | 3: data */
gdt_pointer:
    .word . - gdt - 1
    .long gdt
