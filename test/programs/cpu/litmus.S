# Litmus tests of x86-TSO (SDM Vol. 3A §8.2.3): SB, MP and LB on two vCPUs, IRIW on four, each plain and with MFENCE, a LOCKed
# instruction or XCHG. Assembled with CPUS (2 or 4), BATCHES, and INSTANCES of a test in one batch; each runs
# BATCHES × INSTANCES times. All vCPUs walk through the instances of a batch at the same time; x and y of an instance lie in
# cache lines of their own. Prints for each test the number of runs by outcome: bits 2n and 2n + 1 are what vCPU n read
# first and second.
  .include "common.inc"
  .include "smp.inc"
  .set X, 0
  .set Y, 64
  .set STRIDE, 128

main:
  call start_aps
  mov $1, %ebp
1:
  mov %ebp, %eax
  call start_phase
  lea phases(%rip), %rdx
  call *(%rdx, %rbp, 8)
  call wait_phase
  call report
  inc %ebp
  cmp $(phases_end - phases) / 8, %ebp
  jne 1b
  ret

# All vCPUs leave it together
barrier:
  mov generation, %edx
  mov $1, %eax
  lock xadd %eax, arrived
  cmp $CPUS - 1, %eax
  jne 1f
  movl $0, arrived
  lock incl generation
  ret
1:
  pause
  cmp %edx, generation
  je 1b
  ret

# vCPU 0 between two batches: counts the outcomes, clears all variables
collect:
  xor %esi, %esi
  lea vars(%rip), %rbx
1:
  xor %eax, %eax
  .set role, CPUS
  .rept CPUS
  .set role, role - 1
  shl $2, %eax
  or results + role * INSTANCES * 8(, %rsi, 8), %eax
  mov results + role * INSTANCES * 8 + 4(, %rsi, 8), %ecx
  lea (%rax, %rcx, 2), %eax
  .endr
  incq counts(, %rax, 8)
  movl $0, X(%rbx)
  movl $0, Y(%rbx)
  add $STRIDE, %rbx
  inc %esi
  cmp $INSTANCES, %esi
  jne 1b
  ret

# "NAME outcome:runs outcome:runs …", in hexadecimal
report:
  mov names(, %rbp, 8), %rsi
  call puts
  xor %ebx, %ebx
1:
  mov counts(, %rbx, 8), %rax
  test %rax, %rax
  jz 2f
  SAY " "
  HEX %rbx
  SAY ":"
  HEX %rax
  movq $0, counts(, %rbx, 8)
2:
  inc %ebx
  cmp $256, %ebx
  jne 1b
  jmp newline

# One vCPU's walk: RBX = the instance's variables, EAX and ECX become what was read
.macro WALK insns:vararg
  lea vars(%rip), %rbx
  mov %r13d, %edi
  imul $INSTANCES * 8, %rdi
  lea results(%rdi), %rdi
  lea INSTANCES * 8(%rdi), %rsi
7:
  xor %eax, %eax
  xor %ecx, %ecx
  \insns
  mov %eax, (%rdi)
  mov %ecx, 4(%rdi)
  add $STRIDE, %rbx
  add $8, %rdi
  cmp %rsi, %rdi
  jne 7b
  jmp walked
.endm

# The loop over the batches: `walk` is this vCPU's
batches:
  mov $BATCHES, %r12d
1:
  call barrier
  jmp *%r8
walked:
  call barrier
  test %r13d, %r13d
  jnz 2f
  call collect
2:
  dec %r12d
  jnz 1b
  ret

  .set tests, 0
.macro TEST name:req, label:req
  .data
8888:
  .asciz "\name"
  .data 1
  .quad 8888b
  .data 2
  .quad \label
  .text
\label:
  mov \label\()_walks(, %r13d, 8), %r8
  jmp batches
.endm
.macro WALKS label:req, list:vararg
  .data
  .balign 8
\label\()_walks:
  .quad \list
  .text
.endm

  .data 1
  .balign 8
names:
  .quad 0
  .data 2
  .balign 8
phases:
  .quad 0
  .text

.macro FENCES kind
  .ifc \kind, mfence
  mfence
  .endif
  .ifc \kind, lock
  lock orl $0, -8(%rsp)
  .endif
.endm
.macro STORE kind, to
  .ifc \kind, xchg
  mov $1, %edx
  xchg %edx, \to
  .else
  movl $1, \to
  .endif
.endm

.macro SB_ kind, to, from
  STORE \kind, \to
  FENCES \kind
  mov \from, %eax
.endm
.macro MP_W kind
  STORE \kind, X(%rbx)
  FENCES \kind
  STORE \kind, Y(%rbx)
.endm
.macro MP_R kind
  mov Y(%rbx), %eax
  FENCES \kind
  mov X(%rbx), %ecx
.endm
.macro LB_ kind, from, to
  mov \from, %eax
  FENCES \kind
  STORE \kind, \to
.endm
.macro READ2 kind, first, second
  mov \first, %eax
  FENCES \kind
  mov \second, %ecx
.endm

  .irp kind, plain, mfence, lock, xchg
  .if CPUS == 2
  TEST "SB \kind", sb_\kind
  WALKS sb_\kind, sb0_\kind, sb1_\kind
sb0_\kind: WALK SB_ \kind, X(%rbx), Y(%rbx)
sb1_\kind: WALK SB_ \kind, Y(%rbx), X(%rbx)
  TEST "MP \kind", mp_\kind
  WALKS mp_\kind, mp0_\kind, mp1_\kind
mp0_\kind: WALK MP_W \kind
mp1_\kind: WALK MP_R \kind
  TEST "LB \kind", lb_\kind
  WALKS lb_\kind, lb0_\kind, lb1_\kind
lb0_\kind: WALK LB_ \kind, X(%rbx), Y(%rbx)
lb1_\kind: WALK LB_ \kind, Y(%rbx), X(%rbx)
  .else
  TEST "IRIW \kind", iriw_\kind
  WALKS iriw_\kind, iriw0_\kind, iriw1_\kind, iriw2_\kind, iriw3_\kind
iriw0_\kind: WALK STORE \kind, X(%rbx)
iriw1_\kind: WALK STORE \kind, Y(%rbx)
iriw2_\kind: WALK READ2 \kind, X(%rbx), Y(%rbx)
iriw3_\kind: WALK READ2 \kind, Y(%rbx), X(%rbx)
  .endif
  .endr

  .data 2
phases_end:
  .data
  .balign 64
arrived: .long 0
  .balign 64
generation: .long 0
  .bss
  .balign 128
vars: .skip INSTANCES * STRIDE
results: .skip CPUS * INSTANCES * 8
counts: .skip 256 * 8
  .text
