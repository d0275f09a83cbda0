# Exceptions of instructions, gates, stacks, IRET, system calls, single step, compatibility mode. What QEMU does unlike the
# manual is left to the unit tests: error codes of refused gates (it counts 16 bytes an entry), RF in saved flags, RPL of a null SS,
# unknown MSRs, reserved bits of CR0 and CR4, IRET and SYSRET to non-canonical addresses.
  .include "common.inc"

.macro TF_ON
  pushfq
  orl $0x100, (%rsp)
  popfq
.endm

main:
  movw $0xee00, idt + 0x80 * 16 + 4
  SAY "instructions\n"
  TRY "ud2", ud2
  TRY "int3", int3
  TRY "int 0x21", int $0x21
  xor %ecx, %ecx
  mov $5, %eax
  xor %edx, %edx
  TRY "div by 0", div %ecx
  mov $1, %ecx
  mov $1, %edx
  TRY "div overflow", div %ecx
  mov $0x80000000, %eax
  cltd
  mov $-1, %ecx
  TRY "idiv overflow", idiv %ecx
  mov $1, %rcx
  mov $1, %rdx
  TRY "div 64 overflow", div %rcx
  TRY "mov to cr1", .byte 0x0f, 0x22, 0xc8
  TRY "lock add reg", .byte 0xf0, 0x01, 0xc0
  TRY "0f 0b", .byte 0x0f, 0x0b
  mov %cr0, %rax
  or $8, %rax
  mov %rax, %cr0
  TRY "fpu with ts", fld1
  TRY "sse with ts", xorps %xmm0, %xmm0
  clts
  TRY "fpu", fld1
  TRY "movaps misaligned", movaps page_a + 1, %xmm0
  TRY "fxsave misaligned", fxsave page_a + 8
  TRY "xgetbv", xgetbv

  SAY "segments\n"
  mov $0x78, %ecx
  TRY "beyond gdt", mov %ecx, %ds
  mov $KCODE, %ecx
  TRY "code as ds", mov %ecx, %ds
  TRY "code as ss", mov %ecx, %ss
  mov $0x48 + 3, %ecx
  TRY "rpl 3 ds", mov %ecx, %ds
  mov $UDATA, %ecx
  TRY "user ss", mov %ecx, %ss
  xor %ecx, %ecx
  lldt %cx
  mov $0x14, %ecx
  TRY "ldt without ldt", mov %ecx, %ds
  xor %ecx, %ecx
  TRY "null ds", mov %ecx, %ds
  TRY "null ss", mov %ecx, %ss
  mov $KDATA, %ecx
  mov %ecx, %ss
  mov %ecx, %ds
  mov $TSS_SEL, %ecx
  TRY "ltr busy", ltr %cx
  mov $KDATA, %ecx
  TRY "ltr data", ltr %cx
  TRY "lldt data", lldt %cx
  SAY "lar "
  mov $KCODE, %ecx
  lar %ecx, %eax
  and $0xf0ff00, %eax                 # bits 16 to 19 are undefined
  HEX %rax
  SAY " lsl "
  mov $KDATA, %ecx
  lsl %ecx, %eax
  HEX %rax
  mov $0x78, %ecx
  lar %ecx, %eax
  setz %al
  movzbl %al, %eax
  SAY " beyond "
  HEX %rax
  verw %cx
  setz %al
  HEX %rax
  call newline

  SAY "far transfers\n"
  TRY "ljmp null", call far_null
  TRY "ljmp data", call far_data
  TRY "lcall self", call far_self
  TRY "lret to 32-bit", call far_compat

  SAY "gates\n"
  movw $0x8f00, idt + 0x40 * 16 + 4   # trap gate
  movw $KDATA, idt + 0x41 * 16 + 2
  movw $0, idt + 0x42 * 16 + 2
  TRY "trap gate", int $0x40
  TRY "gate to data", int $0x41
  TRY "gate to null", int $0x42

  SAY "stacks\n"
  lea hook_frame(%rip), %rax
  mov %rax, hook(%rip)
  movb $1, idt + 6 * 16 + 4
  ud2
  movb $0, idt + 6 * 16 + 4
  sub $8, %rsp                        # misaligned: the frame is not
  ud2
  add $8, %rsp
  movq $0, hook
  # a double fault: page fault on a bad stack, handler of 8 on IST 1
  movb $1, idt + 8 * 16 + 4
  TRY "double fault", call bad_stack
  # #NP in delivery of #GP
  movb $1, idt + 11 * 16 + 4
  movw $0x0e00, idt + 13 * 16 + 4
  mov $KCODE, %ecx
  TRY "gp without gate", mov %ecx, %ss
  movw $0x8e00, idt + 13 * 16 + 4

  SAY "iret\n"
  TRY "to null cs", call iret_null
  TRY "to user with kernel ss", call iret_ss
  TRY "with nt", call iret_nt
  TRY "to beyond gdt", call iret_beyond

  SAY "single step\n"
  lea hook_step(%rip), %rax
  mov %rax, hook(%rip)
  xor %r12d, %r12d
  TF_ON
  nop
  mov $3, %ecx
1:
  dec %ecx
  jnz 1b
  mov $4, %ecx
  rep stosb
  pushfq
  andl $~0x100, (%rsp)
  popfq
  nop
  SAY "steps "
  HEX %r12
  mov %dr6, %rax
  and $0x4000, %eax
  HEX %rax
  call newline
  movq $0, hook

  SAY "system calls\n"
  mov $0xc0000081, %ecx
  mov $((UCODE - 16 + 3) << 16) | KCODE, %edx
  mov $((0x10 | 3) << 16) | KCODE, %edx
  xor %eax, %eax
  wrmsr
  mov $0xc0000082, %ecx
  lea syscall_entry(%rip), %rax
  xor %edx, %edx
  wrmsr
  mov $0xc0000084, %ecx
  mov $0x300, %eax
  xor %edx, %edx
  wrmsr
  # user pages
  mov $TEST_VA, %rdi
  lea page_a + P + U, %rax
  call set_pte
  mov $TEST_VA, %rdi
  add $0x1000, %rdi
  lea page_b + P + W + U, %rax
  call set_pte
  movabs $0x8000002000, %rax
  mov %rax, user_stack
  lea user_code(%rip), %rsi
  lea page_a, %rdi
  mov $user_code_end - user_code, %ecx
  rep movsb
  mov $TEST_VA, %rax
  lea syscall_done(%rip), %rcx
  mov %rcx, resume
  mov %rsp, resume_rsp
  mov %rax, try_rip
  mov %rsp, tss + 4
  pushq $UDATA
  push user_stack
  pushq $0x246
  pushq $UCODE
  push %rax
  iretq
syscall_done:
  # in user mode what is privileged, one after another
  lea hook_priv(%rip), %rax
  mov %rax, hook
  mov $TEST_VA, %rax
  add $(user_priv - user_code), %rax
  lea priv_done(%rip), %rcx
  mov %rcx, resume
  mov %rsp, resume_rsp
  mov %rsp, tss + 4
  mov %rax, try_rip
  pushq $UDATA
  push user_stack
  pushq $0x246
  pushq $UCODE
  push %rax
  iretq
priv_done:
  movq $0, hook
  ret

far_null:
  pop %rax
  pushq $0
  push %rax
  lretq
far_data:
  pop %rax
  pushq $KDATA
  push %rax
  lretq
far_self:
  pop %rdx
  lcall *far_pointer(%rip)
  jmp *%rdx
far_target:
  SAY "cs "
  mov 4(%rsp), %eax
  HEX %rax
  SAY " "
  lretl
far_compat:
  pop %rdx
  pushq $CODE32
  lea compat_code(%rip), %rax
  push %rax
  lretq
  .code32
compat_code:
  mov $0x12345678, %eax
  push %eax
  pop %ebx
  inc %eax
  dec %eax                            # 48: REX in 64-bit code
  ljmp $KCODE, $compat_back
  .code64
compat_back:
  SAY "compat "
  HEX %rax
  SAY " "
  jmp *%rdx

bad_stack:
  mov $0x123456, %esp
  mov $TEST_VA, %rsp
  push %rax

iret_null:
  pushq $KDATA
  push %rsp
  pushq $2
  pushq $0
  pushq $0
  iretq
iret_ss:
  pushq $KDATA
  push %rsp
  pushq $2
  pushq $UCODE
  pushq $0
  iretq
iret_beyond:
  pushq $KDATA
  push %rsp
  pushq $2
  pushq $0x80
  pushq $0
  iretq
iret_nt:
  pushq $0x4002
  popfq
  pushq $KDATA
  push %rsp
  pushq $2
  pushq $KCODE
  pushq $0
  iretq
# prints RSP relative to what it was, SS, and skips UD2
hook_frame:
  SAY "frame "
  mov %rbp, %rax
  and $0xfff, %eax
  HEX %rax
  SAY " saved ss "
  HEX "48(%rbp)"
  SAY " flags "
  mov 32(%rbp), %rax
  and $0xffff, %eax                   # QEMU leaves RF clear
  HEX %rax
  call newline
  addq $2, 16(%rbp)
  or $1, %eax
  ret

hook_step:
  inc %r12
  or $1, %eax
  ret

hook_priv:
  cmpq $0x80, 0(%rbp)
  je 1f
  SAY "user exc "
  HEX "0(%rbp)"
  SAY " err "
  HEX "8(%rbp)"
  SAY " rip+"
  mov 16(%rbp), %rax
  sub try_rip, %rax
  HEX %rax
  call newline
  # instructions are padded to 8 bytes
  mov 16(%rbp), %rax
  add $8, %rax
  and $~7, %rax
  mov %rax, 16(%rbp)
  or $1, %eax
  ret
1:
  mov resume_rsp, %rsp
  jmp *resume

syscall_entry:
  mov %rsp, %rbx
  mov resume_rsp, %rsp
  sub $256, %rsp
  SAY "syscall rip+"
  mov %rcx, %rax
  sub try_rip, %rax
  HEX %rax
  SAY " r11 "
  HEX %r11
  pushfq
  pop %rax
  SAY " flags "
  HEX %rax
  mov %cs, %eax
  SAY " cs "
  HEX %rax
  mov %ss, %eax
  SAY " ss "
  HEX %rax
  call newline
  cmp $1, %r13
  je 1f
  mov $1, %r13d
  mov %rbx, %rsp
  sysretq
1:
  mov resume_rsp, %rsp
  jmp *resume

  .balign 8
user_code:
  xor %r13d, %r13d
  syscall
  mov %cs, %eax
  mov %ss, %ebx
  stc
  syscall
  .balign 8
user_priv:
  hlt
  .balign 8
  cli
  .balign 8
  mov %cr3, %rax
  .balign 8
  mov %dr7, %rax
  .balign 8
  wbinvd
  .balign 8
  invlpg (%rax)
  .balign 8
  lgdt (%rsp)
  .balign 8
  ltr %ax
  .balign 8
  in $0x60, %al
  .balign 8
  rdmsr
  .balign 8
  swapgs
  .balign 8
  clts
  .balign 8
  sysretq
  .balign 8
  lmsw %ax
  .balign 8
  mov $KDATA, %eax
  mov %eax, %ds
  .balign 8
  ljmp *(%rsp)
  .balign 8
  ud2
  .balign 8
  int $0x80
user_code_end:

  .data
far_pointer:
  .long far_target
  .word KCODE
  .text
