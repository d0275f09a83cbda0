# String instructions over page ends, with faults in the middle, backwards, overlapping; what registers say afterwards.
  .include "common.inc"

.macro REGS
  SAY "  rcx "
  HEX %rcx
  SAY " rsi "
  HEX %rsi
  SAY " rdi "
  HEX %rdi
  SAY " rax "
  HEX %rax
  pushfq
  pop %rdx
  and $0x445, %edx                    # DF ZF PF CF
  SAY " fl "
  HEX %rdx
  call newline
.endm

# keeps the registers of the fault and skips the instruction: they are printed by REGS behind it
hook_keep:
  SAY "exc "
  HEX "0(%rbp)"
  SAY " err "
  HEX "8(%rbp)"
  SAY " cr2 "
  push %rbx
  mov %cr2, %rbx
  HEX %rbx
  pop %rbx
  call newline
  mov resume(%rip), %rax
  mov %rax, 16(%rbp)
  or $1, %eax                         # ZF = 0: IRET
  ret

.macro FAULTS insn:vararg
  lea 7780f(%rip), %rbx
  mov %rbx, resume(%rip)
  \insn
  SAY "no fault\n"
7780:
  REGS
.endm

# sum of page_b and page_c as a check of contents
.macro SUM
  call sum_pages
  SAY "  sum "
  HEX %rdx
  call newline
.endm
sum_pages:
  push %rsi
  push %rcx
  lea page_b, %rsi
  mov $2048, %ecx
  xor %edx, %edx
1:
  rol $5, %rdx
  add (%rsi), %rdx
  add $4, %rsi
  dec %ecx
  jnz 1b
  pop %rcx
  pop %rsi
  ret

fill:
  lea page_a, %rdi
  mov $4096, %ecx
1:
  mov %ecx, %eax
  imul $37, %eax, %eax
  stosl
  loop 1b
  ret

main:
  lea hook_keep(%rip), %rax
  mov %rax, hook(%rip)
  call fill
  mov $TEST_VA, %r8
  # TEST_VA: page_a, page_b, then nothing, then page_c read-only, page_d
  lea page_a + P + W, %rax
  mov %r8, %rdi
  call set_pte
  lea page_b + P + W, %rax
  lea 0x1000(%r8), %rdi
  call set_pte
  lea page_c + P, %rax
  lea 0x3000(%r8), %rdi
  call set_pte
  lea page_d + P + W, %rax
  lea 0x4000(%r8), %rdi
  call set_pte
  xor %eax, %eax

  SAY "movsb into nothing\n"
  lea 0x100(%r8), %rsi
  lea 0x1f80(%r8), %rdi
  mov $0x200, %ecx
  FAULTS rep movsb
  SUM
  SAY "movsq from nothing\n"
  lea 0x1fc4(%r8), %rsi
  lea 0x200(%r8), %rdi
  mov $0x20, %ecx
  FAULTS rep movsq
  SUM
  SAY "movsl backward from nothing\n"
  std
  lea 0x3004(%r8), %rsi
  lea 0x4200(%r8), %rdi
  mov $0x20, %ecx
  FAULTS rep movsl
  cld
  SAY "stosq into read-only\n"
  mov $0x1122334455667788, %rax
  lea 0x1f00(%r8), %rdi
  mov $0x40, %ecx
  FAULTS rep stosq
  SUM
  lea 0x3000(%r8), %rdi
  mov $1, %ecx
  FAULTS rep stosb
  mov $0, %ecx
  FAULTS rep stosb                    # a count of 0 touches nothing
  SAY "lodsw\n"
  lea 0x1ffc(%r8), %rsi
  mov $5, %ecx
  FAULTS rep lodsw
  SAY "over a page end\n"
  lea 0xff1(%r8), %rsi
  lea 0x1003(%r8), %rdi
  mov $0x123, %ecx
  FAULTS rep movsb                    # overlapping: byte by byte
  SUM
  lea 0x0ffd(%r8), %rsi
  lea 0x1ffd - 0x800(%r8), %rdi
  mov $0x40, %ecx
  FAULTS rep movsl
  SUM
  std
  lea 0x1010(%r8), %rsi
  lea 0x1018(%r8), %rdi
  mov $0x300, %ecx
  FAULTS rep movsb
  cld
  SUM
  lea 0x1100(%r8), %rdi
  mov $0xabcd, %eax
  mov $0x123, %ecx
  FAULTS rep stosw
  SUM
  SAY "scas\n"
  mov $0xab, %al
  lea 0x1000(%r8), %rdi
  mov $0x1000, %ecx
  FAULTS repne scasb
  mov $0xabcd, %eax
  lea 0x1100(%r8), %rdi
  mov $0x400, %ecx
  FAULTS repe scasw
  mov $0x7f, %al
  lea 0x1ff0(%r8), %rdi
  mov $-1, %rcx
  movq $0, page_b + 0xff0
  movq $0, page_b + 0xff8
  FAULTS repne scasb
  SAY "cmps\n"
  lea page_a + P, %rax
  lea 0x5000(%r8), %rdi
  call set_pte
  xor %eax, %eax
  lea 0x10(%r8), %rsi
  lea 0x5010(%r8), %rdi
  mov $0x100, %ecx
  FAULTS repe cmpsb
  movb $1, 0x300(%r8)
  lea 0x2f0(%r8), %rsi
  lea 0x52f1(%r8), %rdi
  mov $0x20, %ecx
  FAULTS repe cmpsb
  lea 0xff0(%r8), %rsi
  lea 0x5ff0(%r8), %rdi
  mov $0x100, %ecx
  FAULTS repe cmpsq
  mov $0, %ecx
  FAULTS repe cmpsb
  SAY "address size 32\n"
  lea page_a, %rsi
  mov $-1, %rax
  shl $32, %rax
  or %rax, %rsi
  lea page_b, %rdi
  mov $0x100000010, %rcx
  xor %eax, %eax
  FAULTS rep addr32 movsb
  SUM
  SAY "single\n"
  lea 0xffc(%r8), %rsi
  lea 0x1ff8(%r8), %rdi
  FAULTS movsq
  FAULTS movsq
  SAY "ports\n"
  lea text(%rip), %rsi
  mov $COM1, %dx
  mov $6, %ecx
  FAULTS rep outsb
  ret
text: .ascii "outsb\n"
