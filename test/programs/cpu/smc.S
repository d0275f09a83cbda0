# Code that changes: in the running block, through another mapping, across a page, by string and locked stores, by remapping.
  .include "common.inc"

# EAX = what the code at RDI returns
.macro RUN text:req
  SAY "\text "
  call *%rdi
  HEX %rax
  call newline
.endm

main:
  # the next instruction's immediate
  SAY "next "
  movb $7, 1f + 1(%rip)
1:
  mov $1, %eax
  HEX %rax
  call newline

  # a loop that counts in its own code, 300 turns
  SAY "loop "
  mov $300, %ecx
2:
  incl 3f + 1(%rip)
3:
  mov $0, %eax
  dec %ecx
  jnz 2b
  HEX %rax
  call newline

  # a branch's target
  SAY "branch "
  movb $(6f - 5f), 4f + 1(%rip)
4:
  jmp 5f
5:
  mov $1, %eax
  jmp 7f
6:
  mov $2, %eax
7:
  HEX %rax
  call newline

  # mov $imm32, %eax; ret in page_a, written through other mappings
  mov $TEST_VA, %r8
  lea page_a + P + W, %rax
  mov %r8, %rdi
  call set_pte
  lea 0x1000(%r8), %rdi
  call set_pte
  mov %r8, %rdi
  movb $0xb8, page_a
  movl $0x1111, page_a + 1
  movb $0xc3, page_a + 5
  RUN "first"
  movl $0x2222, page_a + 1
  RUN "identity alias"
  movl $0x3333, 0x1001(%r8)
  RUN "other alias"
  lock incl 0x1001(%r8)
  RUN "locked"
  mov $0x4444, %eax
  xchg %eax, page_a + 1
  RUN "xchg"
  lea new_code(%rip), %rsi
  push %rdi
  lea page_a, %rdi
  mov $6, %ecx
  rep movsb
  pop %rdi
  RUN "rep movsb"
  push %rdi
  lea page_a + 1, %rdi
  mov $0x66666666, %eax
  stosl
  pop %rdi
  RUN "stos"
  movups new_sse(%rip), %xmm0
  movups %xmm0, page_a
  RUN "movups"
  fildll new_fpu(%rip)
  fistpll page_a
  RUN "fistp"

  # data in the same line as code does not disturb, nor in the same page
  movl $0x1234, page_a + 0x20
  movl $0x1234, page_a + 0x800
  RUN "data beside"

  # the page under the address changes
  movb $0xb8, page_b
  movl $0x9999, page_b + 1
  movb $0xc3, page_b + 5
  mov %r8, %rdi
  lea page_b + P + W, %rax
  call set_pte
  RUN "remapped"
  lea page_a + P + W, %rax
  call set_pte
  RUN "mapped back"

  # an instruction over two pages: B8 | imm32 RET
  lea page_b + P + W, %rax
  lea 0x1000(%r8), %rdi
  call set_pte
  movb $0xb8, page_a + 0xffe
  movb $0x21, page_a + 0xfff
  movl $0xc3222222, page_b
  lea 0xffe(%r8), %rdi
  mov $0xc3, %al
  movb %al, page_b + 3
  RUN "crossing"
  movb $0x43, page_a + 0xfff
  RUN "first page written"
  movb $0x65, page_b
  RUN "second page written"
  lea page_c + P + W, %rax
  movl $0xc3777777, page_c
  lea 0x1000(%r8), %rdi
  call set_pte
  lea 0xffe(%r8), %rdi
  RUN "second page remapped"
  xor %eax, %eax
  lea 0x1000(%r8), %rdi
  call set_pte
  lea 0xffe(%r8), %rdi
  TRY "second page gone", call *%rdi

  # the store that crosses into a code page
  mov %r8, %rdi
  lea page_b + P + W, %rax
  call set_pte
  movb $0xb8, page_b
  movl $0x31, page_b + 1
  movb $0xc3, page_b + 5
  RUN "before"
  lea page_a + P + W, %rax
  lea 0x5000(%r8), %rdi
  call set_pte
  lea page_b + P + W, %rax
  lea 0x6000(%r8), %rdi
  call set_pte
  mov $0xc300000054b80000, %rax
  mov %r8, %rdi
  mov %rax, 0x5ffe(%r8)               # two bytes before the page, then mov $0x54, %eax; ret
  RUN "crossing store"
  # push and call write code too
  mov %rsp, %rbx
  lea page_b + 8, %rsp
  mov $0x00c3000000aab8, %rax
  push %rax
  mov %rbx, %rsp
  RUN "push"
  ret

new_code:
  mov $0x5555, %eax
  ret
  .data
  .balign 16
new_sse:
  .byte 0xb8, 0x77, 0x07, 0, 0, 0xc3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
new_fpu:
  .byte 0xb8, 0x88, 0x08, 0, 0, 0xc3, 0, 0
  .text
