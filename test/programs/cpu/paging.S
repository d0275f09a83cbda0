# Rights, accessed and dirty bits, page crossing, invalidation, non-canonical addresses, from ring 0 and ring 3. What
# QEMU does unlike the manual (P in the code of a reserved-bit fault, #SS, jumps out of the canonical range) is left to
# the unit tests.
  .include "common.inc"

  .macro MAP page, entry:vararg       # maps test page \page
  mov $TEST_VA + (\page << 12), %rdi
  lea \entry, %rax
  call set_pte
  .endm

# prints A and D of test page number \page
.macro BITS page
  SAY "  bits "
  mov test_pt + \page * 8, %rax
  and $0x60, %eax
  call put_hex
  call newline
.endm

.macro push_at_r9
  mov %rsp, %rcx
  lea 0(%r9), %rsp
  push %rax
  mov %rcx, %rsp
.endm

main:
  # faults with a bad stack need another one
  movb $1, idt + 8 * 16 + 4
  movb $1, idt + 12 * 16 + 4
  movb $1, idt + 13 * 16 + 4
  movb $1, idt + 14 * 16 + 4
  mov $TEST_VA, %r8
  MAP 0, page_a + P + W
  MAP 1, page_b + P
  MAP 2, page_c + P + W + U
  MAP 4, page_d + P + U
  # page 3 stays unmapped

  SAY "supervisor\n"
  TRY "read", mov (%r8), %rax
  BITS 0
  TRY "write", mov %rax, (%r8)
  BITS 0
  TRY "read ro", mov 0x1000(%r8), %eax
  TRY "write ro", mov %eax, 0x1000(%r8)
  BITS 1
  TRY "rmw ro", lock incl 0x1008(%r8)
  TRY "xchg ro", xchg %eax, 0x1000(%r8)
  TRY "cmpxchg ro", lock cmpxchg %ecx, 0x1000(%r8)
  TRY "read unmapped", mov 0x3000(%r8), %al
  TRY "write unmapped", movb $1, 0x3ffe(%r8)
  TRY "cross into unmapped, read", mov 0x2ffd(%r8), %eax
  movq $0, page_c + 0xff8
  TRY "cross into unmapped, write", movq $-1, 0x2ffc(%r8)
  HEX "page_c+0xff8"
  call newline
  TRY "cross ro, write", movl $-1, 0xffe(%r8)
  HEX "page_a+0xff8"
  call newline
  TRY "push into ro", call push_ro
  TRY "far over end of page", mov 0xffc(%r8), %rax

  SAY "without WP\n"
  mov %cr0, %rax
  and $~0x10000, %rax
  mov %rax, %cr0
  TRY "write ro", movl $0x55, 0x1000(%r8)
  BITS 1
  mov %cr0, %rax
  or $0x10000, %rax
  mov %rax, %cr0
  TRY "write ro again", movl $0x55, 0x1000(%r8)

  SAY "no execute\n"
  movb $0xc3, page_a                  # ret
  movb $0xc3, page_d
  TRY "execute", call *%r8
  mov $TEST_VA, %rdi
  mov $1, %eax
  shl $63, %rax
  lea page_a + P + W, %rcx
  or %rcx, %rax
  call set_pte
  TRY "execute nx", call jump_r8
  TRY "read nx", mov (%r8), %al
  MAP 0, page_a + P + W

  SAY "non-canonical\n"
  mov $0x800000000000, %r9
  TRY "read", mov (%r9), %eax
  TRY "write", mov %eax, (%r9)
  mov $0xffff7fffffffffff, %r10
  TRY "read below", mov (%r10), %al
  TRY "stack", push_at_r9

  SAY "invalidation\n"
  movl $0x1111, page_a
  movl $0x2222, page_b
  mov (%r8), %eax
  lea page_b + P + W, %rcx
  mov %rcx, test_pt
  invlpg (%r8)
  HEX (%r8)
  call newline
  lea page_a + P + W, %rcx
  mov %rcx, test_pt
  mov %cr3, %rax
  mov %rax, %cr3
  HEX (%r8)
  call newline
  # global pages outlive a CR3 write, not a change of CR4.PGE
  mov %cr4, %rax
  or $0x80, %rax
  mov %rax, %cr4
  lea page_a + P + W + G, %rcx
  mov %rcx, test_pt
  invlpg (%r8)
  mov (%r8), %eax
  lea page_b + P + W, %rcx
  mov %rcx, test_pt
  mov %cr4, %rax
  and $~0x80, %rax
  mov %rax, %cr4
  HEX (%r8)
  call newline
  # permissions that grow need no invalidation after the fault
  lea page_a + P, %rcx
  mov %rcx, test_pt
  invlpg (%r8)
  mov (%r8), %eax
  lea page_a + P + W, %rcx
  mov %rcx, test_pt
  TRY "grown rights", movl $3, (%r8)
  BITS 0
  # a cleared dirty bit is set again after the invalidation
  lea page_a + P + W, %rcx
  mov %rcx, test_pt
  invlpg (%r8)
  BITS 0
  mov (%r8), %eax
  BITS 0
  mov %eax, (%r8)
  BITS 0

  SAY "large page\n"
  mov $pd_test + 8, %rdi
  movq $0x600083, (%rdi)              # 2 MiB at TEST_VA + 2 MiB: physical 6 MiB
  movl $0x77, 0x612340
  HEX 0x212340(%r8)
  call newline
  mov pd_test + 8, %rax
  and $0x60, %eax
  HEX %rax
  movl $0x78, 0x212340(%r8)
  mov pd_test + 8, %rax
  and $0x60, %eax
  HEX %rax
  HEX 0x612340
  call newline
  movl $0x99, 0x812340
  movq $0x800083, (%rdi)
  invlpg 0x3ff000(%r8)                # another address of the same page
  HEX 0x212340(%r8)
  call newline
  SAY "user\n"
  lea hook_user(%rip), %rax
  mov %rax, hook
  movw $0xee00, idt + 0x80 * 16 + 4
  mov $TEST_VA + 0x2f00, %rax
  mov %rax, user_stack
  # the user's code: page 4 (read, execute)
  lea user_code(%rip), %rsi
  lea page_d, %rdi
  mov $user_code_end - user_code, %ecx
  rep movsb
  xor %ebx, %ebx
next_user:
  mov %ebx, user_case
  mov $TEST_VA + 0x4000, %rax
  call run_user_at
  mov user_case, %ebx
  inc %ebx
  cmp $9, %ebx
  jne next_user
  movq $0, hook
  ret

# Uses of one instruction each that TRY cannot name
push_ro:
  pop %rdx
  mov %rsp, %rcx
  lea 0x1100(%r8), %rsp
  push %rax
  mov %rcx, %rsp
  jmp *%rdx
jump_r8:
  jmp *%r8

# One case a call: EBX says which. RAX is where user code starts.
run_user_at:
  lea user_back(%rip), %rcx
  mov %rcx, resume
  mov %rsp, resume_rsp
  mov %rax, try_rip
  mov %rsp, tss + 4
  pushq $UDATA
  push user_stack
  pushq $0x202
  pushq $UCODE
  push %rax
  mov $TEST_VA, %r8
  iretq
user_back:
  ret

# INT 0x80: the case ended without a fault
hook_user:
  cmpq $0x80, 0(%rbp)
  jne 1f
  SAY "user ok "
  mov -8(%rbp), %rax
  call put_hex
  call newline
  mov resume_rsp, %rsp
  jmp *resume
1:
  cmp %eax, %eax                      # ZF = 1: print it
  ret

user_code:
  cmp $0, %ebx
  je 10f
  cmp $1, %ebx
  je 11f
  cmp $2, %ebx
  je 12f
  cmp $3, %ebx
  je 13f
  cmp $4, %ebx
  je 14f
  cmp $5, %ebx
  je 15f
  cmp $6, %ebx
  je 16f
  cmp $7, %ebx
  je 17f
  hlt
10:
  mov 0x2000(%r8), %rax               # its own page
  int $0x80
11:
  mov (%r8), %rax                     # the kernel's
12:
  mov %rax, (%r8)
13:
  mov %rax, 0x4000(%r8)               # its own, read-only
14:
  mov 0x3000(%r8), %rax
15:
  jmp *%r8
16:
  mov %cr0, %rax
17:
  cli                                 # IOPL 0
user_code_end:

  .bss
user_case: .skip 8
  .text
