# Makes code all the time, as a JIT compiler does: in each of 3,000 turns a loop is written to one of 512 places on 128 pages, run 40
# times and counted. Each place is rewritten several times.
  .include "common.inc"

main:
  xor %r12d, %r12d                    # turn
  xor %r13d, %r13d                    # sum
1:
  mov %r12d, %eax
  and $511, %eax
  shl $10, %eax
  lea code(%rax), %rdi
  mov %rdi, %r14
  lea template, %rsi
  mov $template_end - template, %ecx
  rep movsb
  mov %r12d, 1(%r14)                  # the immediate of MOV EAX
  call *%r14
  add %rax, %r13
  inc %r12d
  cmp $3000, %r12d
  jne 1b
  SAY "sum "
  HEX %r13
  call newline
  xor %eax, %eax
  ret

template:
  mov $0x12345678, %eax
  mov $40, %ecx
2:
  lea 3(%rax), %eax
  dec %ecx
  jnz 2b
  ret
template_end:

  .bss
  .balign 4096
code: .skip 0x80000
