/*
 * Arguments of the x87 transcendentals with their true results to 128 bits, by MPFR.
 *
 *   cc -O2 -o mpfr mpfr.c -lmpfr -lgmp && ./mpfr SEED CASES > out
 *
 * Record, 64 bytes: u32 modrm (D9 xx), u32 second result (FSINCOS: 1), u8 st0[16], u8 st1[16], result: u64 hi, u64 lo
 * (|value| = hi·2^64+lo over 2^127, times 2^exp; bit 127 set or all zero), i32 exp, u32 sign.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <mpfr.h>
#include <string.h>

typedef uint64_t u64;
typedef uint32_t u32;
struct record { u32 modrm, second; uint8_t a[16], b[16]; u64 hi, lo; int32_t exp; u32 sign; };
_Static_assert(sizeof(struct record) == 64, "record size");

static u64 seed;
static u64 rnd(void) {
  seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17;
  return seed * 0x2545f4914f6cdd1dull;
}
static u32 below(u32 n) { return (u32)((rnd() >> 33) % n); }

static long double make(int exp, u64 sig, int sign) {
  long double v = 0;
  uint16_t se = (uint16_t)((exp + 16383) | sign << 15);
  sig |= 1ull << 63;
  memcpy(&v, &sig, 8);
  memcpy((char *)&v + 8, &se, 2);
  return v;
}
static u64 some_sig(void) { u64 s = rnd(); switch (below(4)) { case 0: return s & ~0ull << below(64); case 1: return ~0ull >> 1 | s << below(64); default: return s; } }

static long double angle(void) {
  mpfr_t p;
  long double v;
  switch (below(8)) {
    case 0: return make(-16382 + (int)below(16383), some_sig(), below(2));
    case 1: return make((int)below(63), some_sig(), below(2));
    case 2: case 3: /* next to a multiple of pi/4 */
      mpfr_init2(p, 200);
      mpfr_const_pi(p, MPFR_RNDN);
      mpfr_div_2ui(p, p, 2, MPFR_RNDN);
      mpfr_mul_ui(p, p, below(2) ? below(64) : rnd() >> (4 + below(58)), MPFR_RNDN);
      v = mpfr_get_ld(p, MPFR_RNDN);
      mpfr_clear(p);
      if (v >= 0x1p63L) v = 1;
      return below(2) ? v : -v;
    default: return make(-40 + (int)below(46), some_sig(), below(2));
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  static const u32 ops[] = {0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfe, 0xff, 0xfb, 0xfb};
  seed = strtoull(argv[1], 0, 0) * 0x9e3779b97f4a7c15ull + 1;
  u64 n = strtoull(argv[2], 0, 0);
  mpfr_t x, y, r, t;
  mpfr_init2(x, 64); mpfr_init2(y, 64); mpfr_init2(r, 400); mpfr_init2(t, 400);
  mpfr_set_emin(mpfr_get_emin_min());
  mpfr_set_emax(mpfr_get_emax_max());
  for (u64 c = 0; c < n; c++) {
    struct record q;
    memset(&q, 0, sizeof q);
    q.modrm = ops[c % 9];
    q.second = c % 9 == 8;
    long double a = 0, b = 0;
    switch (q.modrm) {
      case 0xf0: a = below(2) ? make(-1 - (int)below(80), some_sig(), below(2)) : make(-1, some_sig(), below(2)); break;
      case 0xf1: case 0xf3:
        a = below(3) ? make(-3 + (int)below(6), some_sig(), 0) : make(-8000 + (int)below(16000), some_sig(), 0);
        if (!below(3)) a = 1 + (below(2) ? -1 : 1) * make(-1 - (int)below(63), some_sig(), 0);
        if (a == 1) a = 2;
        b = make(-60 + (int)below(120), some_sig(), below(2));
        if (q.modrm == 0xf3) {
          if (below(2)) b = make(-4 + (int)below(8), some_sig(), below(2));
          if (below(2)) a = -a;
          if (!below(4)) { long double s = a; a = b; b = s; }
        }
        break;
      case 0xf9: a = make(-3 - (int)below(below(2) ? 4 : 100), some_sig(), below(2)); b = make(-60 + (int)below(120), some_sig(), below(2));
        if (!below(4)) a = make(-2, some_sig() & ~(7ull << 60), below(2));
        break;
      default: a = angle();
    }
    mpfr_set_ld(x, a, MPFR_RNDN);
    mpfr_set_ld(y, b, MPFR_RNDN);
    switch (q.modrm) {
      case 0xf0: mpfr_const_log2(t, MPFR_RNDN); mpfr_mul(t, t, x, MPFR_RNDN); mpfr_expm1(r, t, MPFR_RNDN); break;
      case 0xf1: mpfr_log2(r, x, MPFR_RNDN); mpfr_mul(r, r, y, MPFR_RNDN); break;
      case 0xf2: mpfr_tan(r, x, MPFR_RNDN); break;
      case 0xf3: mpfr_atan2(r, y, x, MPFR_RNDN); break;
      case 0xf9: mpfr_log1p(r, x, MPFR_RNDN); mpfr_const_log2(t, MPFR_RNDN); mpfr_div(r, r, t, MPFR_RNDN); mpfr_mul(r, r, y, MPFR_RNDN); break;
      case 0xff: mpfr_cos(r, x, MPFR_RNDN); break;
      case 0xfe: mpfr_sin(r, x, MPFR_RNDN); break;
      default: if (q.second) mpfr_cos(r, x, MPFR_RNDN); else mpfr_sin(r, x, MPFR_RNDN);
    }
    memcpy(q.a, &a, 10);
    memcpy(q.b, &b, 10);
    q.sign = mpfr_signbit(r) != 0;
    if (!mpfr_zero_p(r)) {
      q.exp = (int32_t)mpfr_get_exp(r) - 1;
      mpfr_abs(r, r, MPFR_RNDN);
      mpfr_set_exp(r, 64);
      mpfr_t i;
      mpfr_init2(i, 400);
      mpfr_trunc(i, r);
      q.hi = mpfr_get_uj(i, MPFR_RNDZ);
      mpfr_sub(r, r, i, MPFR_RNDN);
      mpfr_mul_2ui(r, r, 64, MPFR_RNDN);
      q.lo = mpfr_get_uj(r, MPFR_RNDZ);
      mpfr_clear(i);
    }
    fwrite(&q, sizeof q, 1, stdout);
  }
  return 0;
}
