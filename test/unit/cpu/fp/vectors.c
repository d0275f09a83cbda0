/*
 * Runs one SSE, MMX or x87 instruction at a time natively, from random register state, and writes what came out:
 * the truth for the software CPU's floating-point part.
 *
 *   cc -O2 -o vectors vectors.c && ./vectors sse sse-forms.txt SEED CASES > out
 *   ./vectors x87 - SEED CASES [OPCODE MODRM] > out, D9 0: the transcendentals;   ./vectors cpu   prints the CPU's name
 *
 * Output: records of 480 bytes, input at 0, output at 240 (struct state in both; test/support/cpu/fp.ts).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

struct state {
  u32 head;      /* input: form | imm << 16 | memory << 24; output: signal (0, 4, 8, 11) */
  u32 mxcsr;
  u64 rcx, rdx;
  u32 eflags;
  u16 fcw, fsw;
  u8 ftw;        /* abridged */
  u8 kind, a, b; /* input: 0 SSE, 1 x87; micro-op registers */
  u32 imm2;      /* input: the micro-op's sub-operation */
  u32 pad[2];
  u8 xmm1[16], xmm2[16], mem[16];
  u8 st[8][16];
  u8 xmm0[16];   /* output only: before, it is xmm2 */
};
struct record { struct state in, out; };
_Static_assert(sizeof(struct record) == 480, "record size");

struct ctx {
  u8 in[512] __attribute__((aligned(16)));
  u8 out[512] __attribute__((aligned(16)));
  u64 rcx, rdx, flags;
  u8 mem[16] __attribute__((aligned(16)));
  void *code;
};
static struct ctx ctx __attribute__((aligned(64)));
static volatile int got_signal;
extern char after_instruction[];
void run_one(struct ctx *c);

__asm__(
  ".text\n.globl run_one\nrun_one:\n"
  "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
  "mov %rdi,%rbx\n"
  "fxrstor64 (%rbx)\n"
  "mov 1024(%rbx),%rcx; mov 1032(%rbx),%rdx; mov %rcx,%rax\n"
  "lea 1056(%rbx),%rdi\n"
  "pushq 1040(%rbx); popfq\n"
  "jmp *1072(%rbx)\n"
  ".globl after_instruction\nafter_instruction:\n"
  "pushfq; popq 1040(%rbx)\n"
  "fxsave64 512(%rbx)\n"
  "mov %rcx,1024(%rbx); mov %rdx,1032(%rbx)\n"
  "fninit; ldmxcsr default_mxcsr(%rip); cld\n"
  "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\nret\n"
  "default_mxcsr: .long 0x1f80\n");

static void on_signal(int sig, siginfo_t *info, void *uc) {
  (void)info;
  got_signal = sig;
  ((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP] = (greg_t)after_instruction;
}

/* ---- random values (fp-random.ts makes the same ones) ---- */
static u64 seed;
static u64 rnd(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed * 0x2545f4914f6cdd1dull;
}
static u32 below(u32 n) { return (u32)((rnd() >> 33) % n); }

static const u64 ints[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x1000000, 0x1000001,
  0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff, 0x20000000000000, 0x20000000000001, 0x8000000080000000, 0x7fff8000ff7f0180};
static u64 any_int(void) {
  switch (below(4)) {
    case 0: return ints[below(sizeof ints / 8)];
    case 1: return ints[below(sizeof ints / 8)] + below(5) - 2;
    case 2: { u32 s = below(64); u64 v = rnd() >> s; return rnd() & 64 ? v : -v; }
    default: return rnd();
  }
}

/* A float of `m` mantissa bits and `e` exponent bits: classes that meet every branch. */
static u64 any_float(int m, int e, u64 other) {
  u64 mask = (1ull << m) - 1, emax = (1ull << e) - 1, bias = emax >> 1, sign = (rnd() >> 40 & 1) << (m + e), man = rnd() & mask, ex;
  switch (below(16)) {
    case 0: return sign;
    case 1: return sign | emax << m;
    case 2: return sign | emax << m | man | 1ull << (m - 1);
    case 3: return sign | emax << m | (man & mask >> 1) | 1;
    case 4: return sign | (below(2) ? man : man >> below(m));
    case 5: return sign | 1ull << m | (below(2) ? 0 : man);
    case 6: return sign | (emax - 1) << m | (below(2) ? mask : man);
    case 7: return sign | bias << m | (below(2) ? 0 : man);
    case 8: case 9: ex = bias - 8 + below(16); return sign | ex << m | (man & ~(mask >> below(m)));
    case 10: return other ^ ((rnd() >> 33 & 1) << (m + e)) ^ (1ull << below(m));
    case 11: return other ^ ((rnd() >> 33 & 1) << (m + e));
    case 12: ex = bias - (u64)below(2 * m) + m; return sign | ex << m | man;
    case 13: ex = bias / 2 + below(m) - m / 2; return sign | ex << m | man;
    case 14: ex = bias + bias / 2 + below(m) - m / 2; return sign | ex << m | man;
    default: return sign | (rnd() & emax) << m | man;
  }
}

static u64 to_bits64(double d) { u64 v; memcpy(&v, &d, 8); return v; }
static u32 to_bits32(float d) { u32 v; memcpy(&v, &d, 4); return v; }

/* `data` kinds of sse-forms.txt: fills 16 bytes. */
static void fill(u8 *p, char data, const u8 *other) {
  for (int i = 0; i < 16; i += 8) {
    u64 v, o;
    memcpy(&o, other + i, 8);
    switch (data) {
      case 's': v = any_float(23, 8, o & 0xffffffff) | any_float(23, 8, o >> 32) << 32; break;
      case 'd': v = any_float(52, 11, o); break;
      case 't': v = any_float(52, 11, o);
        if (below(2)) v = (v & 0x8000000000000000ull) | (u64)(1023 - 155 + below(290)) << 52 | (v & 0xfffffffffffffull & (below(2) ? ~0ull : ~0ull << 28));
        break;
      case 'q': if (below(4)) { double d = (double)(int64_t)any_int(); v = to_bits64(below(2) ? d + (below(5) - 2.0) / 2 : d); }
        else v = any_float(52, 11, o);
        break;
      case 'r': { u32 h[2]; for (int k = 0; k < 2; k++) {
          if (below(4)) { float f = (float)(int64_t)any_int(); h[k] = to_bits32(below(2) ? f + (below(5) - 2.0f) / 2 : f); }
          else h[k] = (u32)any_float(23, 8, o & 0xffffffff); }
        v = h[0] | (u64)h[1] << 32; break; }
      case 'y': { u8 h[8]; for (int k = 0; k < 8; k++) h[k] = below(12) ? below(3) + 0x7f : below(2) ? 0 : (u8)rnd(); memcpy(&v, h, 8); break; }
      case 'c': v = below(8) ? below(70) : any_int(); break;
      case 'n': v = below(2) ? any_int() : (any_int() & 0xffffffff) | any_int() << 32; break;
      default: v = below(3) ? rnd() : any_int(); if (!below(8)) v = o; break;
    }
    memcpy(p + i, &v, 8);
  }
}

/* An 80-bit value: sig, then sign and exponent. */
static void any_ext(u8 *p) {
  u64 sig = rnd() | 1ull << 63;
  u16 se = rnd() & 0x8000, e;
  switch (below(16)) {
    case 0: sig = 0; e = 0; break;
    case 1: sig = 1ull << 63; e = 0x7fff; break;
    case 2: sig |= 3ull << 62; e = 0x7fff; break;
    case 3: sig = (sig & ~(1ull << 62)) | 1; e = 0x7fff; break;
    case 4: sig = (rnd() >> 1) >> (below(2) ? 0 : below(63)); e = 0; break;
    case 5: sig &= ~(1ull << 63); e = rnd() & 0x7fff; break;         /* unnormal and kin */
    case 6: e = 0; break;                                            /* pseudo-denormal */
    case 7: e = 0x7ffe; if (below(2)) sig = ~0ull; break;
    case 8: e = 1; if (below(2)) sig = 1ull << 63; break;
    case 9: e = 0x3fff; if (below(2)) sig = 1ull << 63; break;
    case 10: case 11: e = 0x3fff - 8 + below(80); sig &= ~(~0ull >> 1 >> below(63)); break;
    case 12: e = 0x3fff - 70 + below(140); break;
    case 13: e = 0x3fff - 0x400 + below(0x800); sig &= ~0x7ffull << (below(2) ? 0 : below(40)); break;
    case 14: e = 0x3fff - 0x80 + below(0x100); sig &= ~0ull << (40 - below(2) * 10); break;
    default: e = rnd() & 0x7fff; break;
  }
  if (!(sig << 1) && e == 0 && sig) sig = 0;
  se |= e;
  memcpy(p, &sig, 8);
  memcpy(p + 8, &se, 2);
}

static u32 any_mxcsr(void) {
  u32 m = 0x1f80;
  if (!below(4)) m = (u32)rnd() & 0x1f80;
  if (below(2)) m |= (u32)rnd() & 0x6000;
  if (!below(4)) m |= (u32)rnd() & 0x8040;
  switch (below(3)) { case 0: m |= 0x3f; break; case 1: m |= (u32)rnd() & 0x3f; }
  return m;
}

static void x87_state(struct state *s) {
  memset(s->st, 0, sizeof s->st);
  s->fcw = 0x37f;
  if (!below(3)) s->fcw = 0x340 | ((u32)rnd() & 0x3f);
  if (below(2)) s->fcw = (s->fcw & ~0xc00) | ((u32)rnd() & 0xc00);
  if (below(2)) s->fcw = (s->fcw & ~0x300) | (u16)(below(2) ? 0x200 : (rnd() & 0x300));
  s->fsw = (u16)rnd() & 0x7f00;
  if (!below(2)) s->fsw |= (u16)rnd() & 0x7f & s->fcw;
  if (!below(32)) s->fsw |= (u16)rnd() & 0x3f;
  s->ftw = below(3) ? 0xff : (u8)rnd();
  for (int i = 0; i < 8; i++) any_ext(s->st[i]);
}

/* INPUTS=1: the cases only, without running them; their outcome is left zero. */
static int inputs_only;

static void execute(struct record *r, const u8 *code, int len) {
  static u8 *page;
  struct state *i = &r->in, *o = &r->out;
  u16 w = i->fsw; /* ES and B follow from the flags, as FXRSTOR expects of a saved image */
  i->fsw = w = w & ~i->fcw & 0x3f ? w | 0x8080 : w & 0x7f7f;
  if (inputs_only) {
    fwrite(r, sizeof *r, 1, stdout);
    return;
  }
  if (!page) page = mmap(0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page, code, len);
  u8 *q = page + len; /* jmp *[rip+0] */
  memcpy(q, "\xff\x25\0\0\0\0", 6);
  void *to = after_instruction;
  memcpy(q + 6, &to, 8);
  memset(ctx.in, 0, 512);
  memcpy(ctx.in, &i->fcw, 2);
  memcpy(ctx.in + 2, &w, 2);
  ctx.in[4] = i->ftw;
  memcpy(ctx.in + 24, &i->mxcsr, 4);
  for (int k = 0; k < 8; k++) memcpy(ctx.in + 32 + 16 * k, i->st[k], 10);
  memcpy(ctx.in + 160, i->xmm2, 16); /* XMM0, the mask of BLENDV */
  memcpy(ctx.in + 160 + 16, i->xmm1, 16);
  memcpy(ctx.in + 160 + 32, i->xmm2, 16);
  memcpy(ctx.mem, i->mem, 16);
  ctx.rcx = i->rcx;
  ctx.rdx = i->rdx;
  ctx.flags = i->eflags | 0x202;
  ctx.code = page;
  got_signal = 0;
  run_one(&ctx);
  memset(o, 0, sizeof *o);
  o->head = got_signal;
  memcpy(&o->fcw, ctx.out, 2);
  memcpy(&o->fsw, ctx.out + 2, 2);
  o->ftw = ctx.out[4];
  memcpy(&o->mxcsr, ctx.out + 24, 4);
  for (int k = 0; k < 8; k++) memcpy(o->st[k], ctx.out + 32 + 16 * k, 10);
  memcpy(o->xmm1, ctx.out + 160 + 16, 16);
  memcpy(o->xmm2, ctx.out + 160 + 32, 16);
  memcpy(o->xmm0, ctx.out + 160, 16);
  memcpy(o->mem, ctx.mem, 16);
  o->rcx = ctx.rcx;
  o->rdx = ctx.rdx;
  o->eflags = ctx.flags & 0x8d5;
  fwrite(r, sizeof *r, 1, stdout);
}

struct form { char name[20], data, a, b, forms[5]; int prefix, map, op, w, ext, imm; };
static struct form forms[600];

static void sse(const char *file, u64 cases) {
  FILE *f = fopen(file, "r");
  char line[200], ext[4], imm[4];
  int n = 0;
  if (!f) { perror(file); exit(1); }
  while (fgets(line, sizeof line, f)) {
    struct form *q = &forms[n];
    if (line[0] == '#') continue;
    if (sscanf(line, "%19s %d %d %x %d %3s %3s %c %c %c %4s", q->name, &q->prefix, &q->map, &q->op, &q->w, ext, imm, &q->data, &q->a, &q->b, q->forms) != 11) continue;
    q->ext = ext[0] == '-' ? -1 : ext[0] - '0';
    q->imm = imm[0] == 'i';
    n++;
  }
  fclose(f);
  for (u64 c = 0; c < cases; c++) {
    int k = (int)(c % n);
    struct form *q = &forms[k];
    struct record r;
    memset(&r, 0, sizeof r);
    struct state *s = &r.in;
    char how = q->forms[below((u32)strlen(q->forms))];
    int mem = how == 'm' || how == 's', ireg = q->imm ? (int)below(256) : 0;
    if (q->imm && q->ext >= 0 && below(4)) ireg &= 0x3f;
    s->head = (u32)k | (u32)ireg << 16 | (u32)mem << 24;
    s->mxcsr = any_mxcsr();
    s->eflags = (u32)rnd() & 0x8d5;
    fill(s->xmm1, q->data, s->xmm1);
    fill(s->xmm2, q->data, s->xmm1);
    fill(s->mem, q->data, s->xmm1);
    s->rcx = any_int();
    s->rdx = any_int();
    if (q->data == 'y') {
      s->rcx = below(8) ? (u64)below(40) - 20 : any_int();
      s->rdx = below(8) ? (u64)below(40) - 20 : any_int();
    }
    s->fcw = 0x37f;
    s->ftw = 0;
    if (q->a == 'm' || q->b == 'm') {
      x87_state(s);
      if (!below(2)) { s->fsw &= 0x7f00; }
      u64 v;
      fill(s->xmm1, 'i', s->xmm1);
      fill(s->xmm2, q->data == 'r' || q->data == 'q' ? q->data : 'i', s->xmm1);
      /* mm1 is physical register 1, mm2 register 2: put them where TOP shows them */
      u32 top = s->fsw >> 11 & 7;
      u8 t[16];
      fill(t, 'i', s->xmm1); memcpy(s->st[(1 - top) & 7], t, 8);
      fill(t, q->data == 'c' || q->data == 'n' ? q->data : 'i', t); memcpy(s->st[(2 - top) & 7], t, 8);
      (void)v;
    }
    s->kind = 0;
    s->a = q->ext >= 0 ? (u8)q->ext : 1;
    s->b = 2;
    s->imm2 = (u32)q->op | (u32)q->prefix << 8 | (u32)q->map << 10 | (u32)mem << 12 | (u32)q->w << 13 | (u32)ireg << 16;
    u8 code[16];
    int len = 0;
    if (q->prefix) code[len++] = q->prefix == 1 ? 0x66 : q->prefix == 2 ? 0xf3 : 0xf2;
    if (q->w) code[len++] = 0x48;
    code[len++] = 0x0f;
    if (q->map) code[len++] = q->map == 1 ? 0x38 : 0x3a;
    code[len++] = (u8)q->op;
    if (how != 'z') code[len++] = mem ? (u8)(s->a << 3 | 7) : (u8)(0xc0 | s->a << 3 | 2);
    if (q->imm) code[len++] = (u8)ireg;
    execute(&r, code, len);
  }
}

/* Which m32/m64/m16/m80/int a memory form reads. */
static void x87_memory(struct state *s, int op, int reg) {
  u64 v = any_int();
  u8 e[16];
  switch (op) {
    case 0xd8: v = any_float(23, 8, rnd() & 0xffffffff); break;
    case 0xd9: v = any_float(23, 8, rnd() & 0xffffffff); break;
    case 0xdc: v = any_float(52, 11, rnd()); break;
    case 0xdd: v = any_float(52, 11, rnd()); break;
    case 0xdb: if (reg == 5) { any_ext(e); memcpy(s->mem, e, 10); return; } break;
    case 0xdf:
      if (reg == 4) {
        for (int i = 0; i < 9; i++) s->mem[i] = (u8)(below(10) << 4 | below(10));
        s->mem[9] = (u8)rnd();
        return;
      }
      break;
  }
  memcpy(s->mem, &v, 8);
}

static int x87_skip(int op, int modrm) {
  int reg = modrm >> 3 & 7, r = modrm >= 0xc0;
  if (op == 0xd9 && !r && (reg == 4 || reg == 5 || reg == 6)) return 1; /* FLDENV, FLDCW, FNSTENV: own tests */
  if (op == 0xdd && !r && (reg == 4 || reg == 6)) return 1;              /* FRSTOR, FNSAVE */
  if (op == 0xd9 && r && (modrm == 0xf0 || modrm == 0xf1 || modrm == 0xf2 || modrm == 0xf3 || modrm == 0xf9 || modrm == 0xfb || modrm == 0xfe || modrm == 0xff)) return 1; /* transcendentals */
  return 0;
}

/* The transcendentals: compared but for the last bits of their results. */
static const int transcendental[] = {0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff};

static void x87(u64 cases, int only_op, int only_modrm) {
  int op[600], modrm[600], n = 0;
  for (int o = 0xd8; o <= 0xdf; o++) {
    for (int g = 0; g < 8; g++) if (!x87_skip(o, g << 3)) { op[n] = o; modrm[n++] = g << 3 | 7; }
    for (int m = 0xc0; m <= 0xff; m++) if (!x87_skip(o, m)) { op[n] = o; modrm[n++] = m; }
  }
  for (u64 c = 0; c < cases; c++) {
    int k = (int)(c % n);
    struct record r;
    memset(&r, 0, sizeof r);
    struct state *s = &r.in;
    s->mxcsr = 0x1f80;
    int o = only_op ? only_op : op[k], m = only_op ? only_modrm : modrm[k];
    if (only_op == 0xd9 && !only_modrm) m = transcendental[c % 8];
    s->head = (u32)k | (u32)(m < 0xc0) << 24;
    s->eflags = (u32)rnd() & 0x8d5;
    s->rcx = any_int();
    s->rdx = any_int();
    x87_state(s);
    for (int i = 0; i < 16; i++) s->mem[i] = (u8)rnd();
    if (m < 0xc0) x87_memory(s, o, m >> 3 & 7);
    if (m < 0xc0 && below(3) == 0 && o != 0xd8 && o != 0xdc) { /* stores to integers and the like: values near the limits */
      long double d = (long double)(int64_t)any_int();
      if (below(2)) d += ((int)below(5) - 2) / 2.0L;
      memcpy(s->st[0], &d, 10);
    }
    s->kind = 1;
    s->imm2 = (u32)(o & 7) << 8 | (u32)m;
    u8 code[2] = {(u8)o, (u8)m};
    execute(&r, code, 2);
  }
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  if (!strcmp(argv[1], "cpu")) {
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[300];
    while (f && fgets(line, sizeof line, f)) {
      if (!strncmp(line, "vendor_id", 9) || !strncmp(line, "model", 5) || !strncmp(line, "cpu family", 10) || !strncmp(line, "stepping", 8)) fputs(line, stdout);
      if (line[0] == '\n') break;
    }
    return 0;
  }
  inputs_only = getenv("INPUTS") != 0;
  struct sigaction sa = {0};
  sa.sa_sigaction = on_signal;
  sa.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGFPE, &sa, 0);
  sigaction(SIGILL, &sa, 0);
  sigaction(SIGSEGV, &sa, 0);
  seed = strtoull(argv[3], 0, 0) * 0x9e3779b97f4a7c15ull + 1;
  static char buffer[1 << 20];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  if (!strcmp(argv[1], "sse")) sse(argv[2], strtoull(argv[4], 0, 0));
  else x87(strtoull(argv[4], 0, 0), argc > 5 ? (int)strtol(argv[5], 0, 16) : 0, argc > 6 ? (int)strtol(argv[6], 0, 16) : 0);
  fflush(stdout);
  return 0;
}
