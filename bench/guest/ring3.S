/*
 * Start of a guest whose C code runs in ring 3 of long mode, with all ports and 4 GiB of memory one to one:
 * `void guest(const struct hvm_start_info *)`. It runs alike on hardware and on a KVM that emulates ring 0, but not IRET to an
 * outer ring, and forgets IOPL there: hence the TSS with its I/O bitmap, and SYSEXIT, which is invalid in long mode on AMD's
 * processors, where the handler of #UD takes IRETQ.
 */
.set SYSENTER_CS, 0x174
.set EFER, 0xc0000080
.set USER_CODE, 0x28 | 3
.set USER_DATA, 0x30 | 3
.set FLAGS, 2
.set PORTS, 65536

.section .note.pvh, "a", @note
.align 4
.long 4, 4, 18              /* namesz, descsz, XEN_ELFNOTE_PHYS32_ENTRY */
.asciz "Xen"
.align 4
.long start

.text
.code32
.globl start
start:
    mov $stack, %esp
    mov %cr4, %eax
    or $0x620, %eax             /* PAE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $EFER, %ecx
    xor %edx, %edx
    mov $0x100, %eax            /* LME */
    wrmsr
    mov $0x80000003, %eax       /* PG, MP, PE */
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $long_mode

.code64
long_mode:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $invalid_opcode, %eax
    mov %ax, idt_ud
    shr $16, %eax
    mov %ax, idt_ud + 6
    lidt idt_pointer
    mov $SYSENTER_CS, %ecx
    xor %edx, %edx
    mov $8, %eax
    wrmsr
    mov $USER_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov $tss, %eax
    mov %ax, gdt_tss + 2
    shr $16, %eax
    mov %al, gdt_tss + 4
    mov $gdt_tss - gdt, %eax
    ltr %ax
    mov $ring3, %edx
    mov $stack, %ecx
    sysexitq

invalid_opcode:
    push $USER_DATA
    push $stack
    push $FLAGS
    push $USER_CODE
    push $ring3
    iretq

ring3:
    mov %ebx, %edi
    call guest
1:  jmp 1b

.data
.align 4096
pml4:
    .long pdpt + 7, 0
    .fill 511, 8, 0
pdpt:
    .long directories + 7, 0, directories + 0x1007, 0, directories + 0x2007, 0, directories + 0x3007, 0
    .fill 508, 8, 0
directories:
    .set page, 0
    .rept 2048
    .quad page << 21 | 0xe7     /* 2 MiB, dirty, accessed, user, writable, present */
    .set page, page + 1
    .endr
.align 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* 0x08: code */
    .quad 0x00cf93000000ffff    /* 0x10: data */
    .quad 0, 0
    .quad 0x00affb000000ffff    /* 0x28: code of ring 3 */
    .quad 0x00cff3000000ffff    /* 0x30: data of ring 3 */
gdt_tss:
    .quad (0x0089 << 40) | (tss_end - tss - 1), 0
gdt_pointer:
    .word . - gdt - 1
    .quad gdt
.align 16
idt:
    .fill 12, 8, 0
idt_ud:
    .word 0, 8, 0x8e00, 0       /* interrupt gate */
    .quad 0
idt_pointer:
    .word . - idt - 1
    .quad idt

tss:
    .fill 102, 1, 0
    .word io_bitmap - tss
io_bitmap:
    .fill PORTS / 8, 1, 0       /* all allowed */
    .byte 0xff
tss_end:

.bss
.align 16
.skip 16384
stack:
.section .note.GNU-stack, "", @progbits
