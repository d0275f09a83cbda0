# A loop with an instruction over two pages, hot enough to be translated: the second page is written, remapped, taken away, put back.
  .include "common.inc"

# EAX = the loop at RDI, 2,000 turns and one, of which the last one does not add
.macro RUN text:req
  SAY "\text "
  mov $2001, %ecx
  xor %eax, %eax
  call *%rdi
  HEX %rax
  call newline
.endm

main:
  mov $TEST_VA, %r8
  lea page_a + P + W, %rax
  mov %r8, %rdi
  call set_pte
  lea page_b + P + W, %rax
  lea 0x1000(%r8), %rdi
  call set_pte
  # at the first page's end: dec ecx; jz 2f; add $imm32, eax (two bytes here, three there); jmp; 2: ret
  movl $0x0574c9ff, page_a + 0xffa
  movw $0x2105, page_a + 0xffe
  movl $0xeb000000, page_b
  movb $0xf5, page_b + 4
  movb $0xc3, page_b + 5
  movb $0x07, page_a + 0xffd          # jz: from 0xffe to 0x1005
  lea 0xffa(%r8), %rdi
  RUN "crossing"
  RUN "again"
  movb $0x43, page_a + 0xfff
  RUN "first page written"
  movb $0x01, page_b
  RUN "second page written"
  movl $0xeb000002, page_c
  movb $0xf5, page_c + 4
  movb $0xc3, page_c + 5
  lea page_c + P + W, %rax
  lea 0x1000(%r8), %rdi
  call set_pte
  lea 0xffa(%r8), %rdi
  RUN "second page remapped"
  lea page_b + P + W, %rax
  lea 0x1000(%r8), %rdi
  call set_pte
  lea 0xffa(%r8), %rdi
  RUN "mapped back"
  # other mappings of the same pages, in reverse order
  lea page_a + P + W, %rax
  lea 0x5000(%r8), %rdi
  call set_pte
  lea page_c + P + W, %rax
  lea 0x6000(%r8), %rdi
  call set_pte
  lea 0x5ffa(%r8), %rdi
  RUN "first page elsewhere"
  lea 0xffa(%r8), %rdi
  RUN "and here"
  xor %eax, %eax
  lea 0x1000(%r8), %rdi
  call set_pte
  lea 0xffa(%r8), %rdi
  mov $2001, %ecx
  xor %eax, %eax
  TRY "second page gone", call *%rdi
  lea page_b + P + W, %rax
  lea 0x1000(%r8), %rdi
  call set_pte
  lea 0xffa(%r8), %rdi
  RUN "and back"
  ret

