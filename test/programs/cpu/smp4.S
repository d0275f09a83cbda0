# Four vCPUs: start-up, locked operations aligned and not, shoot-down of mappings and of code, IPIs, NMIs, HLT and wake.
  .set CPUS, 4
  .include "common.inc"
  .include "smp.inc"
  .set ROUNDS, 20000
  .set SLOW_ROUNDS, 150
  .set SHOTS, 40


main:
  lea hook_ipi(%rip), %rax
  mov %rax, hook(%rip)
  call start_aps
  SAY "ids "
  mov ids, %eax
  HEX %rax
  call newline

  SAY "lock inc "
  call all_locked
  HEX counter
  call newline
  SAY "lock over a line "
  mov $2, %eax
  call start_phase
  call phase_line
  call wait_phase
  HEX lines+61
  call newline
  SAY "lock over a page "
  mov $3, %eax
  call start_phase
  call phase_page
  call wait_phase
  HEX page_b-3
  call newline
  SAY "spin lock "
  mov $4, %eax
  call start_phase
  call phase_spin
  call wait_phase
  HEX guarded
  call newline
  SAY "xadd "
  mov $5, %eax
  call start_phase
  call phase_xadd
  call wait_phase
  HEX counter2
  SAY " "
  HEX sum
  call newline
  SAY "cmpxchg8b "
  mov $9, %eax
  call start_phase
  call phase_cmpxchg8b
  call wait_phase
  HEX counter3
  call newline

  # mappings: after the acknowledged IPI everybody reads the new page
  SAY "shoot-down: stale "
  movl $0xaaaa, page_c
  movl $0xbbbb, page_d
  mov $TEST_VA, %rdi
  lea page_c + P + W, %rax
  call set_pte
  movl $0xaaaa, expected
  mov $6, %eax
  call start_phase
  mov $SHOTS, %r12d
2:
  lea page_d + P + W, %rax
  mov $0xbbbb, %ebx
  test $1, %r12d
  jz 3f
  lea page_c + P + W, %rax
  mov $0xaaaa, %ebx
3:
  incl sequence
  mov %rax, test_pt
  movl $0, acks
  movl $0xc40f0, 0x300(%r15)
  call wait_acks
  mov %ebx, expected
  incl sequence
  mov $200, %ecx
4:
  pause
  loop 4b
  dec %r12d
  jnz 2b
  movl $1, stop
  call wait_phase
  mov stale, %eax
  HEX %rax
  call newline

  # code: after the acknowledged IPI everybody runs the new instruction
  SAY "code: stale "
  movl $0, stop
  movl $0, stale
  movb $0xb8, page_a
  movl $0x1000, page_a + 1
  movb $0xc3, page_a + 5
  movl $0x1000, expected
  mov $7, %eax
  call start_phase
  mov $SHOTS, %r12d
2:
  mov expected, %ebx
  inc %ebx
  incl sequence
  mov %ebx, page_a + 1
  movl $0, acks
  movl $0xc40f1, 0x300(%r15)
  call wait_acks
  mov %ebx, expected
  incl sequence
  mov $200, %ecx
4:
  pause
  loop 4b
  dec %r12d
  jnz 2b
  movl $1, stop
  call wait_phase
  mov stale, %eax
  HEX %rax
  call newline

  # one IPI to each by its id, then NMIs, to vCPUs in HLT
  movl $0, stop
  mov $8, %eax
  call start_phase
  mov $1, %r12d
5:
  movl $0, acks
  mov %r12d, %eax
  shl $24, %eax
  mov %eax, 0x310(%r15)
  movl $0x40f2, 0x300(%r15)
6:
  pause
  cmpl $1, acks
  jne 6b
  movl $0x4400, 0x300(%r15)           # NMI to the same
7:
  pause
  mov nmis, %eax
  cmp %r12d, %eax
  jne 7b
  inc %r12d
  cmp $CPUS, %r12d
  jne 5b
  movl $1, stop
  movl $0, acks
  movl $0xc40f2, 0x300(%r15)
  call wait_acks
  call wait_phase
  SAY "woken "
  cmpl $CPUS - 1, woken               # at least once each: an NMI may come between two HLTs
  setae %al
  movzbl %al, %eax
  HEX %rax
  SAY " nmis "
  mov nmis, %eax
  HEX %rax
  call newline
  movq $0, hook
  ret

wait_acks:
  pause
  cmpl $CPUS - 1, acks
  jne wait_acks
  ret

all_locked:
  mov $1, %eax
  call start_phase
  call phase_inc
  jmp wait_phase

phase_inc:
  mov $ROUNDS, %ecx
1:
  lock incl counter
  loop 1b
  ret
phase_line:
  mov $SLOW_ROUNDS, %ecx
1:
  lock addl $3, lines + 61
  loop 1b
  ret
phase_page:
  mov $SLOW_ROUNDS, %ecx
1:
  lock incq page_b - 3
  loop 1b
  ret
phase_spin:
  mov $ROUNDS / 10, %ecx
1:
  mov $1, %eax
2:
  xchg %eax, spin
  test %eax, %eax
  jz 3f
  pause
  jmp 2b
3:
  mov guarded, %rax
  inc %rax
  mov %rax, guarded
  movl $0, spin
  loop 1b
  ret
phase_xadd:
  mov $ROUNDS, %ecx
  xor %edx, %edx
1:
  mov $1, %eax
  lock xadd %eax, counter2
  add %rax, %rdx
  loop 1b
  lock add %rdx, sum
  ret
phase_cmpxchg8b:
  mov $ROUNDS / 10, %esi
1:
  mov counter3, %eax
  mov counter3 + 4, %edx
2:
  mov %eax, %ebx
  mov %edx, %ecx
  add $1, %ebx
  adc $1, %ecx
  lock cmpxchg8b counter3
  jnz 2b
  dec %esi
  jnz 1b
  ret

# Read the page, or call the code, until told to stop. While `sequence` is even and does not change, a value other than the
# expected one is stale.
.macro WATCH read:vararg
1:
  mov sequence, %r9d
  test $1, %r9d
  jnz 2f
  mov expected, %ebx
  \read
  cmp sequence, %r9d
  jne 2f
  cmp %eax, %ebx
  je 2f
  lock incl stale
2:
  cmpl $0, stop
  je 1b
  ret
.endm

phase_map:
  mov $TEST_VA, %r8
  WATCH mov (%r8), %eax
phase_code:
  lea page_a, %rdx
  WATCH call *%rdx

phase_halt:
  cli
  cmpl $0, stop
  jne 2f
  sti
  hlt
  lock incl woken
  jmp phase_halt
2:
  sti
  ret

# Interrupts 0xf0 (INVLPG), 0xf1 (nothing but the serializing IRET), 0xf2, and NMI
hook_ipi:
  mov 0(%rbp), %rax
  cmp $2, %rax
  je 3f
  cmp $0xf0, %rax
  jb 4f
  ja 1f
  mov $TEST_VA, %rcx
  invlpg (%rcx)
1:
  mov $LAPIC, %ecx
  movl $0, 0xb0(%rcx)
  lock incl acks
2:
  or $1, %eax
  ret
3:
  lock incl nmis
  jmp 2b
4:
  cmp %eax, %eax
  ret

  .data
  .balign 64
counter: .quad 0
counter2: .quad 0
counter3: .quad 0
sum: .quad 0
guarded: .quad 0
spin: .long 0
acks: .long 0
nmis: .long 0
woken: .long 0
stale: .long 0
stop: .long 0
expected: .quad 0
sequence: .long 0
phases: .quad 0, phase_inc, phase_line, phase_page, phase_spin, phase_xadd, phase_map, phase_code, phase_halt, phase_cmpxchg8b
  .balign 64
lines: .skip 128
  .text
