/* Start of gdb.c on the first vCPU, and a trampoline that brings the second one into long mode and to second(). */
.set TRAMPOLINE, 0x8000
.text
.code64
.globl _start
_start:
    lea stack0(%rip), %rsp
    mov %cr4, %rax
    or $0x600, %rax             /* OSFXSR, OSXMMEXCPT: SSE may be used */
    mov %rax, %cr4
    lea trampoline(%rip), %rsi
    mov $TRAMPOLINE, %edi
    mov $(trampoline_end - trampoline), %ecx
    rep movsb
    mov %cr3, %rax
    mov %eax, TRAMPOLINE + (ap_cr3 - trampoline)
    sti                         /* no source of interrupts; but on Bochs a VMX guest that loops with IF clear keeps the host's out, too */
    call main
1:  hlt
    jmp 1b

.code16
trampoline:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl TRAMPOLINE + (gdtr - trampoline)
    mov $0x620, %eax            /* PAE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov TRAMPOLINE + (ap_cr3 - trampoline), %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    mov $0x100, %eax
    xor %edx, %edx
    wrmsr
    mov $0x80000011, %eax
    mov %eax, %cr0
    ljmpl $8, $(TRAMPOLINE + (ap_long - trampoline))
.code64
ap_long:
    mov $16, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov $stack1, %rsp
    sti
    mov $second, %rax
    jmp *%rax
.align 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:
    .word 23
    .long TRAMPOLINE + (gdt - trampoline)
ap_cr3:
    .long 0
trampoline_end:

.bss
.align 16
.skip 8192
stack0:
.skip 8192
stack1:
.section .note.GNU-stack, "", @progbits
