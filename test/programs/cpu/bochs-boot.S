# Boot sector for Bochs, which loads no ELF: reads SECTORS sectors behind itself to 0x10000, turns on flat 32-bit mode, copies
# BYTES bytes to BASE, clears up to END and jumps to ENTRY, as a PVH loader would. Made with these symbols by test/support/cpu/bochs.ts.
  .set LOW, 0x10000
  .code16
  .text
  cli
  xor %ax, %ax
  mov %ax, %ds
  mov %ax, %ss
  mov $0x7c00, %sp
  mov $SECTORS, %di
1:
  mov $0x42, %ah                      # EDD read; the BIOS left the drive in DL
  mov $packet, %si
  int $0x13
  jc failed
  addw $0x800, packet_segment         # 64 sectors of 512 bytes
  addl $64, packet_lba
  sub $64, %di
  ja 1b
  in $0x92, %al
  or $2, %al                          # A20
  and $0xfe, %al
  out %al, $0x92
  lgdtl gdt_pointer
  mov %cr0, %eax
  or $1, %al
  mov %eax, %cr0
  ljmpl $8, $protected
failed:
  hlt
  jmp failed

  .code32
protected:
  mov $16, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  mov %eax, %fs
  mov %eax, %gs
  cld
  mov $LOW, %esi
  mov $BASE, %edi
  mov $BYTES, %ecx
  rep movsb
  mov $END, %ecx
  sub %edi, %ecx
  xor %eax, %eax
  rep stosb
  xor %ebx, %ebx
  mov $ENTRY, %eax
  jmp *%eax

  .balign 4
packet:
  .byte 16, 0
  .word 64
  .word 0
packet_segment:
  .word LOW >> 4
packet_lba:
  .long 1, 0
gdt:
  .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
  .word 23
  .long gdt
  .org 510
  .word 0xaa55
