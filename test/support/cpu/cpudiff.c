/* Runs instructions natively in ring 3 and tells what they did: the truth for the software CPU's differential tests.
   cpudiff < cases > results. A case, 208 bytes: u8 length, u8 1: 32-bit code (unicorn-diff.py only), 6 unused, u64 offset in the code pages, u8 code[48], u64 registers[16]
   (encoding order), u64 rflags, u64 seed of the data window. A result, 672 bytes: registers, rip, rflags, u32 vector, u32 error
   code, u64 CR2, u8 window[512].

   Memory: two code pages full of F4 (HLT: every case ends with an exception), two data pages of which the
   512 bytes around their border are the window, unmapped pages around them, one read-only page; GS base in the window. Each
   exception's handler stores what it sees and sets up the next case, so a case costs one signal. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x10000000ul
#define DATA 0x20001000ul
#define WINDOW (DATA + 4096 - 256)
#define READONLY 0x20010000ul
#define GS_BASE (DATA + 3584)

struct kase {
  uint8_t length, unused[7];
  uint64_t offset;
  uint8_t code[48];
  uint64_t regs[16], flags, seed;
};

struct result {
  uint64_t regs[16], rip, flags;
  uint32_t vector, error;
  uint64_t cr2;
  uint8_t window[512];
};

static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
static struct kase *cases;
static struct result *results;
static size_t count, at;
static int running;
static sigjmp_buf done;

static void fill(void *to, uint64_t s, int words) {
  uint64_t *p = to;
  s |= 1;
  for (int i = 0; i < words; i++) {
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    p[i] = s;
  }
}

static void handler(int sig, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  greg_t *g = uc->uc_mcontext.gregs;
  (void)sig;
  (void)info;
  if (running) {
    struct result *r = &results[at];
    for (int i = 0; i < 16; i++) r->regs[i] = g[order[i]];
    r->rip = g[REG_RIP];
    r->flags = g[REG_EFL];
    r->vector = g[REG_TRAPNO];
    r->error = g[REG_ERR];
    r->cr2 = g[REG_CR2];
    memcpy(r->window, (void *)WINDOW, 512);
    memset((void *)(CODE + cases[at].offset), 0xf4, 48);
    at++;
  }
  running = 1;
  if (at == count) siglongjmp(done, 1);
  const struct kase *k = &cases[at];
  memcpy((void *)(CODE + k->offset), k->code, k->length);
  fill((void *)WINDOW, k->seed, 64);
  for (int i = 0; i < 16; i++) g[order[i]] = k->regs[i];
  g[REG_RIP] = CODE + k->offset;
  g[REG_EFL] = k->flags;
}

static void *map(uint64_t where, size_t size, int prot) {
  void *p = mmap((void *)where, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (p != (void *)where) {
    perror("cpudiff: mmap");
    exit(2);
  }
  return p;
}

int main(void) {
  size_t room = 1 << 24, size = 0, n;
  uint8_t *in = malloc(room);
  while ((n = fread(in + size, 1, room - size, stdin)) > 0)
    if ((size += n) == room) in = realloc(in, room *= 2);
  cases = (struct kase *)in;
  count = size / sizeof *cases;
  results = calloc(count, sizeof *results);
  memset(map(CODE, 8192, PROT_READ | PROT_WRITE | PROT_EXEC), 0xf4, 8192);
  map(DATA, 8192, PROT_READ | PROT_WRITE);
  fill(map(READONLY, 4096, PROT_READ | PROT_WRITE), 77, 512);
  mprotect((void *)READONLY, 4096, PROT_READ);
  syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
  __asm__ volatile("mov %0, %%ds\n mov %0, %%es" : : "r"(0x2b));
  stack_t alt = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  sigaltstack(&alt, 0);
  struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP, SIGUSR1};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &sa, 0);
  if (count && !sigsetjmp(done, 1)) raise(SIGUSR1);
  fwrite(results, sizeof *results, count, stdout);
  return 0;
}
