/* Floating-point work as compilers emit it: doubles, singles, long doubles, vectors, conversions, MMX. Runs natively (with
   -DNATIVE) and in the software CPU; every line is a hash of exact bit patterns and must be equal. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

static void put(char c);
static u64 hash;
static void mix(const void *p, u32 n) {
  const u8 *b = p;
  while (n--) hash = (hash ^ *b++) * 0x100000001b3ul;
}
static void line(const char *name) {
  while (*name) put(*name++);
  put(' ');
  for (int i = 60; i >= 0; i -= 4) put("0123456789abcdef"[hash >> i & 15]);
  put('\n');
  hash = 0xcbf29ce484222325ul;
}

static u64 seed = 88172645463325252ul;
static u64 rnd(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  return seed ^= seed << 17;
}
/* a double between 2^-20 and 2^20 */
static double number(void) {
  union { u64 u; double d; } v = {(rnd() & 0x800ffffffffffffful) | (1003 + rnd() % 40) << 52};
  return v.d;
}

#define N 96
static double a[N][N], b[N][N], c[N][N];
static float fa[4096], fb[4096], fc[4096];

static void matrix(void) {
  for (int i = 0; i < N; i++) for (int j = 0; j < N; j++) { a[i][j] = number(); b[i][j] = number(); c[i][j] = 0; }
  for (int i = 0; i < N; i++) for (int k = 0; k < N; k++) for (int j = 0; j < N; j++) c[i][j] += a[i][k] * b[k][j];
  mix(c, sizeof c);
  line("matrix of doubles");
}

static void singles(void) {
  for (int i = 0; i < 4096; i++) { fa[i] = (float)number(); fb[i] = (float)number(); }
  for (int i = 0; i < 4096; i++) fc[i] = fa[i] / fb[i] + fa[i] * 0.5f - __builtin_sqrtf(__builtin_fabsf(fb[i]));
  for (int i = 0; i < 4096; i++) fc[i] = fc[i] < fa[i] ? fc[i] : fb[i] > fa[i] ? fb[i] : fa[i];
  mix(fc, sizeof fc);
  line("singles, vectorised");
}

static void conversions(void) {
  for (int i = 0; i < 20000; i++) {
    double d = number() * 1000;
    int n = (int)d;
    long l = (long)(d * 65536);
    float f = (float)d;
    double back = (double)l + (double)n + (double)f + (double)(u64)(l < 0 ? -l : l);
    u32 u = (u32)(long)d;
    float g = (float)u + (float)l;
    mix(&n, 4); mix(&l, 8); mix(&f, 4); mix(&back, 8); mix(&g, 4);
  }
  line("conversions");
}

/* sin by its series, exp by squaring: plain arithmetic, equal everywhere */
static void extended(void) {
  for (int i = 1; i < 3000; i++) {
    long double x = (long double)number(), r = 0, t = x / 1048576;
    long double s = t;
    for (int k = 1; k < 12; k++) { s = -s * t * t / (2 * k * (2 * k + 1)); r += s; }
    r += __builtin_sqrtl(x < 0 ? -x : x);
    long double q = r / (x + 3), m = r * q - x;
    double d = (double)m;
    float f = (float)q;
    long l = (long)(x * 16);
    m += (long double)l;
    mix(&r, 10); mix(&q, 10); mix(&m, 10); mix(&d, 8); mix(&f, 4);
    if (m > r) hash++;
    if (q == r || q != q) hash += 3;
  }
  line("long doubles");
}

static void x87_rest(void) {
  for (int i = 0; i < 3000; i++) {
    long double x = (long double)number(), y = (long double)number(), r, e;
    unsigned short sw;
    __asm__ volatile("fprem; fnstsw %1" : "=t"(r), "=a"(sw) : "0"(x), "u"(y));
    mix(&r, 10); mix(&sw, 2);
    __asm__ volatile("fprem1; fnstsw %1" : "=t"(r), "=a"(sw) : "0"(x), "u"(y));
    mix(&r, 10); mix(&sw, 2);
    __asm__ volatile("fxtract" : "=t"(r), "=u"(e) : "0"(x));
    mix(&r, 10); mix(&e, 10);
    __asm__ volatile("frndint" : "=t"(r) : "0"(x));
    mix(&r, 10);
    __asm__ volatile("fscale" : "=t"(r) : "0"(x), "u"(e));
    mix(&r, 10);
    u8 bcd[10];
    __asm__ volatile("fbstp %0" : "=m"(bcd) : "t"(x) : "st");
    mix(bcd, 10);
    __asm__ volatile("fbld %1" : "=t"(r) : "m"(bcd));
    mix(&r, 10);
  }
  line("x87: remainders, scaling, decimal");
}

static void modes(void) {
  for (u32 rc = 0; rc < 4; rc++) {
    u32 mx = 0x1f80 | rc << 13, old;
    unsigned short cw = 0x37f | rc << 10, oldcw;
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(old), "=m"(oldcw));
    __asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(mx), "m"(cw));
    for (int i = 0; i < 2000; i++) {
      volatile double x = number(), y = number(), r = x / y + x * y - x;
      volatile float f = (float)r;
      volatile long double l = (long double)x / (long double)y;
      double rr = r; float ff = f; long double ll = l;
      long n = __builtin_lrint(rr);
      mix(&rr, 8); mix(&ff, 4); mix(&ll, 10); mix(&n, 8);
    }
    __asm__ volatile("stmxcsr %0" : "=m"(mx));
    mix(&mx, 4);
    __asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(old), "m"(oldcw));
  }
  line("rounding modes and flags");
}

static void bytes(void) {
  static u8 s[8192], d[8192];
  static short w[4096];
  for (int i = 0; i < 8192; i++) s[i] = (u8)(rnd() >> 20);
  for (int i = 0; i < 8191; i++) d[i] = (u8)((s[i] + s[i + 1] + 1) >> 1) ^ (s[i] > 100 ? s[i] : 100);
  for (int i = 0; i < 4096; i++) w[i] = (short)((s[2 * i] * (int)s[2 * i + 1]) >> 3) - (short)d[i];
  u32 sum = 0;
  for (int i = 0; i < 8192; i++) { int x = s[i] - d[i]; sum += (u32)(x < 0 ? -x : x); }
  mix(d, sizeof d); mix(w, sizeof w); mix(&sum, 4);
  line("bytes and words, vectorised");
}

typedef short v4 __attribute__((vector_size(8)));
static void mmx(void) {
  u64 r = 0;
  for (int i = 0; i < 2000; i++) {
    u64 x = rnd(), y = rnd(), z;
    __asm__ volatile("movq %1, %%mm0; movq %2, %%mm1; movq %%mm0, %%mm2; pmaddwd %%mm1, %%mm0; psubusb %%mm1, %%mm2; punpckhbw %%mm2, %%mm0; packuswb %%mm2, %%mm0; movq %%mm0, %0; emms"
      : "=m"(z) : "m"(x), "m"(y) : "mm0", "mm1", "mm2");
    r = r * 31 + z;
  }
  long double one = 1;
  __asm__ volatile("fld1; faddp" : "+t"(one)); /* the x87 stack is free again */
  mix(&r, 8); mix(&one, 10);
  line("MMX");
}

static void work(void) {
  hash = 0xcbf29ce484222325ul;
  matrix();
  singles();
  conversions();
  extended();
  x87_rest();
  modes();
  bytes();
  mmx();
}

#ifdef NATIVE
#include <stdio.h>
static void put(char c) { putchar(c); }
int main(void) { work(); return 0; }
#else
static void put(char c) { __asm__ volatile("outb %b0, %w1" : : "a"(c), "Nd"(0x3f8)); }
void guest_main(void) { work(); }
#endif
