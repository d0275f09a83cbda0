# What the manual says and QEMU does otherwise: reserved bits, stacks and jumps outside the canonical range, refused gates, RF in
# saved flags, reserved bits of control registers, MSRs. The kept output is Bochs's.
  .include "common.inc"
  .set HOLE, 0x800000000000           # the first address that is not canonical

main:
  mov $TEST_VA, %r8
  mov $HOLE, %r9
  SAY "reserved bits\n"
  mov $page_a + P + W, %eax
  bts $45, %rax                       # beyond any physical address
  mov %r8, %rdi
  call set_pte
  TRY "read", mov (%r8), %eax
  TRY "write", mov %eax, (%r8)
  TRY "fetch", call jump_r8

  SAY "stack\n"
  movb $1, idt + 12 * 16 + 4          # the stack is what does not work
  movb $1, idt + 13 * 16 + 4
  # an exception changes RAX, RSI and RBP
.macro BY_RBP name, insn:vararg
  mov %r9, %rbp
  TRY "\name", \insn
.endm
  BY_RBP "read by rbp", mov (%rbp), %rax
  BY_RBP "read by rbp and gs", mov %gs:(%rbp), %rax
  BY_RBP "write by rbp", mov %rax, (%rbp)
  BY_RBP "locked addition by rbp", lock incl (%rbp)
  BY_RBP "leave", leave
  TRY "push", call bad_push
  TRY "pop", call bad_pop
  TRY "call", call bad_call
  TRY "ret", call bad_ret

  SAY "jumps\n"
  TRY "jmp", jmp *%r9
  TRY "jmp by memory", jmp *hole
  TRY "call", call *%r9
  TRY "ret", call ret_hole
  TRY "lret", call lret_hole
  TRY "iret", call iret_hole
  mov %r9, %rcx
  mov $2, %r11d
  TRY "sysret", sysretq

  SAY "gates\n"
  movw $0x0e00, idt + 0x43 * 16 + 4
  movw $0x8000, idt + 0x44 * 16 + 4
  movw $UCODE, idt + 0x46 * 16 + 2
  movl $0x8000, idt + 0x47 * 16 + 8   # the upper half of its address
  movb $1, idt + 0x48 * 16 + 4
  TRY "not present", int $0x43
  TRY "of no type", int $0x44
  TRY "to a segment of user code", int $0x46
  TRY "to a non-canonical address", int $0x47
  movw $0x4a * 16 - 2, idt_pointer    # one byte short of 0x49
  lidt idt_pointer
  TRY "one byte beyond the limit", int $0x49
  TRY "beyond the limit", int $0xff
  movw $256 * 16 - 1, idt_pointer
  lidt idt_pointer
  mov %r9, ist
  TRY "on a non-canonical stack", int $0x48
  movq $ist1_top, ist
  lea user_int(%rip), %rsi
  mov $page_b, %edi
  mov $16, %ecx
  rep movsb
  mov $page_b + P + W + U, %eax
  mov %r8, %rdi
  call set_pte
  TRY "from user to one of ring 0", call user_at_r8

  SAY "saved RF\n"
  lea hook_rf(%rip), %rax
  mov %rax, hook(%rip)
  ud2
  xor %ecx, %ecx
  .byte 0xf7, 0xf1                    # div %ecx
  mov 0x123456789000, %al
  .byte 0x66, 0x90                    # two bytes less than the load
  int $0x21
  .byte 0x90, 0x90
  int3
  .byte 0x90, 0x90
  movq $0, hook

  SAY "control registers\n"
.macro TOGGLE_CR0 name, bit:req
  mov %cr0, %rax
  btc $\bit, %rax
  TRY "\name", mov %rax, %cr0
.endm
.macro TOGGLE_CR4 name, bit:req
  mov %cr4, %rax
  btc $\bit, %rax
  TRY "\name", mov %rax, %cr4
.endm
  TOGGLE_CR0 "PG without PE", 0
  TOGGLE_CR0 "NW without CD", 29
  TOGGLE_CR0 "upper half", 32
  TOGGLE_CR0 "reserved below", 7
  mov %cr0, %rax
  and $0x80, %eax
  HEX %rax
  call newline
  TOGGLE_CR4 "PAE off", 5
  TOGGLE_CR4 "reserved", 27
  TOGGLE_CR4 "upper half", 40
  mov %cr3, %rax
  bts $52, %rax
  TRY "CR3 beyond physical addresses", mov %rax, %cr3
  mov $16, %eax
  TRY "CR8 of 16", mov %rax, %cr8
  mov $15, %eax
  TRY "CR8 of 15", mov %rax, %cr8
  xor %eax, %eax
  mov %rax, %cr8
  mov $1, %eax
  shl $32, %rax
  TRY "DR6 upper half", mov %rax, %dr6
  mov $1, %eax
  shl $32, %rax
  TRY "DR7 upper half", mov %rax, %dr7
  mov %r9, bad_pointer + 2
  TRY "LGDT of a non-canonical base", lgdt bad_pointer
  TRY "LIDT of a non-canonical base", lidt bad_pointer
  TRY "INVLPG of a non-canonical address", invlpg (%r9)

  SAY "MSRs\n"
.macro WRITE_MSR name, msr:req, high:req, low:req
  mov $\msr, %ecx
  mov $\high, %edx
  mov $\low, %eax
  TRY "\name", wrmsr
.endm
  mov $0x12345678, %ecx
  TRY "read an unknown one", rdmsr
  TRY "write an unknown one", wrmsr
  WRITE_MSR "EFER, reserved", 0xc0000080, 0, 0xd03
  WRITE_MSR "EFER, LME off", 0xc0000080, 0, 0xc01
  WRITE_MSR "LSTAR, non-canonical", 0xc0000082, 0x8000, 0
  WRITE_MSR "FS base, non-canonical", 0xc0000100, 0x8000, 0
  WRITE_MSR "kernel GS base, non-canonical", 0xc0000102, 0xffff7fff, 0
  WRITE_MSR "APIC base, reserved", 0x1b, 0, 0xfee00801
  WRITE_MSR "PAT of type 2", 0x277, 0, 2
  ret

jump_r8:
  jmp *%r8
bad_push:
  mov %r9, %rsp
  add $8, %rsp
  push %rax
bad_pop:
  mov %r9, %rsp
  pop %rax
bad_call:
  mov %r9, %rsp
  add $8, %rsp
  call bad_call
bad_ret:
  mov %r9, %rsp
  ret
ret_hole:
  push %r9
  ret
lret_hole:
  pushq $KCODE
  push %r9
  lretq
iret_hole:
  pushq $KDATA
  push %rsp
  pushq $2
  pushq $KCODE
  push %r9
  iretq
user_int:
  int $0x45
user_at_r8:
  mov %rsp, tss + 4
  pushq $UDATA
  pushq $0
  pushq $2
  pushq $UCODE
  push %r8
  iretq

# RF as it was saved; skips two bytes if the instruction faulted
hook_rf:
  SAY "vector "
  HEX "0(%rbp)"
  SAY " RF "
  mov 32(%rbp), %rax
  shr $16, %eax
  and $1, %eax
  HEX %rax
  call newline
  cmpq $14, 0(%rbp)
  jne 1f
  addq $7, 16(%rbp)                   # the load has nine bytes
1:
  addq $2, 16(%rbp)
  or $1, %eax
  ret

  .data
  .balign 8
hole: .quad HOLE
bad_pointer: .word 0xfff
  .quad 0
  .text
