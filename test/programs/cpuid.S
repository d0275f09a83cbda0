/* Marks what CPUID says: leaf 1 ECX bits 7..0 and 31..24, EBX bits 23..16 (CPUs), leaf 7 EBX bits 7..0, hypervisor's first letter. */
#include "pvh.inc"
start:
    mov $stack, %esp
    mov $1, %eax
    cpuid
    mov %ebx, %esi
    mov $MARK_PORT, %dx
    mov %cl, %al
    out %al, %dx
    mov %ecx, %eax
    shr $24, %eax
    out %al, %dx
    mov %esi, %eax
    shr $16, %eax
    out %al, %dx
    mov $7, %eax
    xor %ecx, %ecx
    cpuid
    mov $MARK_PORT, %dx
    mov %bl, %al
    out %al, %dx
    mov $0x40000000, %eax
    cpuid
    mov $MARK_PORT, %dx
    mov %bl, %al
    out %al, %dx
    poweroff
