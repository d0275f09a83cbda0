// What a program sees of #DB and #AC: single steps beside MOV to SS and INT1, debug registers by ptrace, alignment checks. The
// same text on a real CPU and on ours (test/guest/traps.test.ts).
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define STEPS 24
static char *volatile origin;
static volatile int steps;
static volatile struct { int signal, trapno, offset; } seen[STEPS];
static char *volatile resume; // where to go on after a fault
uint8_t buffer[256] __attribute__((aligned(64)));

static void handler(int signal, siginfo_t *info, void *context) {
  ucontext_t *u = context;
  (void)info;
  if (steps < STEPS) {
    seen[steps].signal = signal;
    seen[steps].trapno = (int)u->uc_mcontext.gregs[REG_TRAPNO];
    seen[steps].offset = (int)((char *)u->uc_mcontext.gregs[REG_RIP] - origin);
    steps++;
  }
  if (signal != SIGTRAP || steps >= STEPS) {
    u->uc_mcontext.gregs[REG_EFL] &= ~0x40100L;
    u->uc_mcontext.gregs[REG_RIP] = (long)resume;
  }
}

static void report(const char *name) {
  printf("%-28s", name);
  for (int i = 0; i < steps; i++) printf(" %d/%d@%d", seen[i].signal, seen[i].trapno, seen[i].offset);
  printf("\n");
  steps = 0;
}

// The code under test between labels, with %rax = buffer, %rdx = SS; `flag` is set in EFLAGS before it and cleared behind it.
#define CASE(name, flag, code)                                                                                       \
  do {                                                                                                               \
    __asm__ volatile("lea 1f(%%rip), %%rcx; mov %%rcx, %0; lea 2f(%%rip), %%rcx; mov %%rcx, %1\n"                      \
                     "mov %%ss, %%edx; mov %%dx, 240(%2); mov %2, %%rax; mov %2, %%rsi; lea 128(%2), %%rdi; mov $3, %%ecx\n" \
                     "mov %%rsp, %%r8; sub $256, %%rsp; pushfq; orq %3, (%%rsp); popfq\n"                                              \
                     "1: " code "\n"                                                                                  \
                     "nop\n"                                                                                          \
                     "pushfq; andq $~0x40100, (%%rsp); popfq\n"                                                       \
                     "2: mov %%r8, %%rsp\n"                                                                           \
                     : "=m"(origin), "=m"(resume)                                                                     \
                     : "r"(buffer), "i"(flag)                                                                         \
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "xmm0", "xmm1", "memory", "cc");                      \
    report(name);                                                                                                    \
  } while (0)

#define TF 0x100
#define AC 0x40000

static void steps_and_alignment(void) {
  CASE("int1", 0, ".byte 0xf1");
  CASE("int $1", 0, "int $1");
  CASE("int3", 0, "int3");
  CASE("tf: nop nop", TF, "nop; nop");
  CASE("tf: mov ss", TF, "mov %%edx, %%ss; nop; nop");
  CASE("tf: mov ss, mov ss", TF, "mov %%edx, %%ss; mov %%edx, %%ss; nop; nop");
  CASE("tf: mov ss, mov ss, mov ss", TF, "mov %%edx, %%ss; mov %%edx, %%ss; mov %%edx, %%ss; nop; nop");
  CASE("tf: mov memory to ss", TF, "mov 240(%%rax), %%ss; nop; nop");
  CASE("tf: mov ss, int1", TF, "mov %%edx, %%ss; .byte 0xf1; nop");
  CASE("tf: mov ss, int3", TF, "mov %%edx, %%ss; int3; nop");
  CASE("tf: int1", TF, ".byte 0xf1; nop");
  CASE("tf: int3", TF, "int3; nop");
  CASE("tf: mov es", TF, "mov %%edx, %%es; nop");
  CASE("tf: rep movsb", TF, "rep movsb; nop");
  CASE("tf: syscall", TF, "mov $39, %%eax; syscall; nop");
  CASE("mov ss, int1", 0, "mov %%edx, %%ss; .byte 0xf1; nop");
  CASE("ac: aligned", AC, "mov 8(%%rax), %%rcx; mov 4(%%rax), %%ecx; mov 2(%%rax), %%cx; mov 1(%%rax), %%cl");
  CASE("ac: mov 2", AC, "mov 1(%%rax), %%cx");
  CASE("ac: mov 4", AC, "mov 2(%%rax), %%ecx");
  CASE("ac: mov 8", AC, "mov 4(%%rax), %%rcx");
  CASE("ac: store 4", AC, "mov %%ecx, 1(%%rax)");
  CASE("ac: add to memory", AC, "add %%ecx, 1(%%rax)");
  CASE("ac: lock add", AC, "lock add %%ecx, 1(%%rax)");
  CASE("ac: xchg over a line", AC, "xchg %%rcx, 61(%%rax)");
  CASE("ac: push", AC, "sub $1, %%rsp; push %%rcx");
  CASE("ac: pop", AC, "sub $15, %%rsp; pop %%rcx");
  CASE("ac: call", AC, "sub $1, %%rsp; call 3f; 3:");
  CASE("ac: movups 1", AC, "movups 1(%%rax), %%xmm0");
  CASE("ac: movups 8", AC, "movups 8(%%rax), %%xmm0");
  CASE("ac: movups 16", AC, "movups 16(%%rax), %%xmm0");
  CASE("ac: movdqu store 4", AC, "movdqu %%xmm0, 4(%%rax)");
  CASE("ac: movaps 8", AC, "movaps 8(%%rax), %%xmm0");
  CASE("ac: movq 4", AC, "movq 4(%%rax), %%xmm0");
  CASE("ac: movss 2", AC, "movss 2(%%rax), %%xmm0");
  CASE("ac: movsd 4", AC, "movsd 4(%%rax), %%xmm0");
  CASE("ac: movhps 4", AC, "movhps 4(%%rax), %%xmm0");
  CASE("ac: rep movsw", AC, "add $1, %%rsi; rep movsw");
  CASE("ac: rep movsb", AC, "add $1, %%rsi; rep movsb");
  CASE("ac: stosq", AC, "add $4, %%rdi; stosq");
  CASE("ac: fld 10", AC, "fldt 2(%%rax); fstp %%st(0)");
  CASE("ac: fld 10 at 8", AC, "fldt 8(%%rax); fstp %%st(0)");
  CASE("ac: fld 8", AC, "fldl 4(%%rax); fstp %%st(0)");
  CASE("ac: fnstcw", AC, "fnstcw 1(%%rax)");
  CASE("ac: fnstenv 4", AC, "fnstenv 4(%%rax)");
  CASE("ac: fnstenv 2", AC, "fnstenv 2(%%rax)");
  CASE("ac: cmpxchg16b 8", AC, "cmpxchg16b 8(%%rax)");
  CASE("ac: bt", AC, "bt %%ecx, 2(%%rax)");
  CASE("ac: mov from beyond", AC, "mov 1(%%r15), %%ecx");
}

// ---- debug registers ----

#define DR(n) (offsetof(struct user, u_debugreg) + (n) * sizeof(long))
extern char watch_code[], w_nop[], w_store[], w_end[], w_rep[], w_ss[], w_after_ss[], w_load[];
__asm__(".text; .globl watch_code, w_nop, w_store, w_end, w_rep, w_ss, w_after_ss, w_load\n"
        "watch_code: lea buffer(%rip), %rax; mov %ss, %edx; mov %dx, 240(%rax)\n"
        "w_nop: nop\n"
        "w_store: mov %rax, 16(%rax)\n"
        "movb $1, 35(%rax)\n"
        "w_load: mov 16(%rax), %rcx\n"
        "addl $1, 32(%rax)\n"
        "movups %xmm0, 10(%rax)\n"
        "mov %rax, %rsi; lea 128(%rax), %rdi; mov $24, %ecx\n"
        "w_rep: rep movsb\n"
        "nop\n"
        "w_ss: mov 240(%rax), %ss\n"
        "w_after_ss: nop\n"
        "nop\n"
        "push %rax; pop %rcx\n"
        "w_end: ret\n");
void watched(void) __asm__("watch_code");

static void watch_case(const char *name, int step, int n, const unsigned long *address, unsigned long control) {
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    watched();
    _exit(7);
  }
  int status;
  waitpid(child, &status, 0);
  printf("%-28s", name);
  for (int i = 0; i < n; i++)
    if (ptrace(PTRACE_POKEUSER, child, DR(i), address[i]) != 0) printf(" dr%d: %s", i, strerror(errno));
  if (ptrace(PTRACE_POKEUSER, child, DR(7), control) != 0) printf(" dr7: %s", strerror(errno));
  long word = step ? PTRACE_CONT : PTRACE_CONT;
  for (int i = 0; i < 40; i++) {
    ptrace(word, child, 0, 0);
    waitpid(child, &status, 0);
    if (!WIFSTOPPED(status)) break;
    struct user_regs_struct r;
    ptrace(PTRACE_GETREGS, child, 0, &r);
    unsigned long dr6 = (unsigned long)ptrace(PTRACE_PEEKUSER, child, DR(6), 0);
    printf(" %d@%ld,%lx,%llu", WSTOPSIG(status), (long)(r.rip - (unsigned long)watch_code), dr6 & 0xe00f, r.rcx & 0xff);
    ptrace(PTRACE_POKEUSER, child, DR(6), 0);
    if (step && (char *)r.rip >= w_nop && (char *)r.rip < w_end) word = PTRACE_SINGLESTEP;
    if ((char *)r.rip >= w_end) word = PTRACE_CONT;
  }
  printf(" %s %d\n", WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

#define ON(i) (1UL << (2 * (i)))
#define RW(i, rw, len) ((unsigned long)((rw) | (((len) == 8 ? 2 : (len)-1) << 2)) << (16 + 4 * (i)))
static void debug_registers(void) {
  unsigned long b = (unsigned long)buffer;
  unsigned long at[4] = {(unsigned long)w_nop, b + 16, b + 32, b + 35};
  watch_case("dr: none", 0, 4, at, 0);
  watch_case("dr: instruction", 0, 1, at, ON(0));
  watch_case("dr: write 8", 0, 2, at, ON(1) | RW(1, 1, 8));
  watch_case("dr: read or write 8", 0, 2, at, ON(1) | RW(1, 3, 8));
  watch_case("dr: write 4, write 1", 0, 4, at, ON(2) | RW(2, 1, 4) | ON(3) | RW(3, 1, 1));
  watch_case("dr: write 1", 0, 4, at, ON(3) | RW(3, 1, 1));
  watch_case("dr: instruction and write", 0, 2, (unsigned long[]){(unsigned long)w_store, b + 16}, ON(0) | ON(1) | RW(1, 1, 8));
  watch_case("dr: rep, instruction", 0, 1, (unsigned long[]){(unsigned long)w_rep}, ON(0));
  watch_case("dr: rep, write", 0, 1, (unsigned long[]){b + 136}, ON(0) | RW(0, 1, 2));
  watch_case("dr: mov to ss, operand", 0, 1, (unsigned long[]){b + 240}, ON(0) | RW(0, 3, 2));
  watch_case("dr: behind mov to ss", 0, 1, (unsigned long[]){(unsigned long)w_after_ss}, ON(0));
  watch_case("dr: at mov to ss", 0, 1, (unsigned long[]){(unsigned long)w_ss}, ON(0));
  watch_case("dr: stepped", 1, 2, at, ON(0) | ON(1) | RW(1, 3, 8));
}

int main(void) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
  setvbuf(stdout, NULL, _IONBF, 0);
  for (const int *s = (const int[]){SIGTRAP, SIGSEGV, SIGBUS, SIGILL, 0}; *s; s++) sigaction(*s, &action, NULL);
  steps_and_alignment();
  for (const int *s = (const int[]){SIGTRAP, SIGSEGV, SIGBUS, SIGILL, 0}; *s; s++) signal(*s, SIG_DFL);
  debug_registers();
  return 0;
}
