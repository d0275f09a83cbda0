/* Loops for the software CPU: no library, no data outside the image. `_start` gets the case's number in edi and the turns
   in rsi, leaves the result in rax and halts (ring 0) — natively the same functions are called by cpudiff's host part. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

#ifdef __SSE2__
#error "compile with -mgeneral-regs-only"
#endif

static u64 registers(u64 n) {
  u64 a = 1, b = 2, c = 3, d = 0;
  for (u64 i = 0; i < n; i++) {
    a += b ^ i;
    c = (c << 3) - a;
    b ^= c >> 5;
    d += a & c;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
  }
  return a ^ b ^ c ^ d;
}

static u32 table[256];
static u8 buffer[65536];

static void fill(void) {
  u32 x = 12345;
  for (u32 i = 0; i < sizeof buffer; i++) {
    x = x * 1664525 + 1013904223;
    buffer[i] = x >> 24;
  }
}

static u64 crc32(u64 n) {
  for (u32 i = 0; i < 256; i++) {
    u32 c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  fill();
  u32 c = ~0u;
  for (u64 t = 0; t < n; t++)
    for (u32 i = 0; i < sizeof buffer; i++) c = table[(c ^ buffer[i]) & 0xff] ^ (c >> 8);
  return ~c;
}

static u64 sieve(u64 n) {
  u64 found = 0;
  for (u64 t = 0; t < n; t++) {
    for (u32 i = 0; i < sizeof buffer; i++) buffer[i] = 1;
    for (u32 i = 2; i < sizeof buffer; i++) {
      if (!buffer[i]) continue;
      found++;
      for (u32 k = i + i; k < sizeof buffer; k += i) buffer[k] = 0;
    }
  }
  return found;
}

static u32 numbers[16384];

static __attribute__((noinline)) void quicksort(u32 *a, long lo, long hi) {
  while (lo < hi) {
    u32 p = a[(lo + hi) / 2];
    long i = lo, j = hi;
    while (i <= j) {
      while (a[i] < p) i++;
      while (a[j] > p) j--;
      if (i <= j) {
        u32 t = a[i];
        a[i++] = a[j];
        a[j--] = t;
      }
    }
    if (j - lo < hi - i) {
      quicksort(a, lo, j);
      lo = i;
    } else {
      quicksort(a, i, hi);
      hi = j;
    }
  }
}

static u64 sort(u64 n) {
  u64 sum = 0;
  u32 x = 1;
  for (u64 t = 0; t < n; t++) {
    for (u32 i = 0; i < 16384; i++) {
      x = x * 1664525 + 1013904223;
      numbers[i] = x;
    }
    quicksort(numbers, 0, 16383);
    for (u32 i = 0; i < 16384; i += 97) sum = sum * 31 + numbers[i];
  }
  return sum;
}

static const u32 K[64] = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
  0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
  0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
  0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
  0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
  0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static u32 ror(u32 x, int n) { return x >> n | x << (32 - n); }

static u64 sha256(u64 n) {
  u32 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  u32 w[64];
  fill();
  for (u64 t = 0; t < n; t++) {
    const u8 *p = buffer + (t & 1023) * 64;
    for (int i = 0; i < 16; i++) w[i] = (u32)p[i * 4] << 24 | p[i * 4 + 1] << 16 | p[i * 4 + 2] << 8 | p[i * 4 + 3];
    for (int i = 16; i < 64; i++) {
      u32 s0 = ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3, s1 = ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10;
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    u32 a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7];
    for (int i = 0; i < 64; i++) {
      u32 t1 = k + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i];
      u32 t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      k = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += k;
  }
  return (u64)h[0] << 32 | h[7];
}

u64 cpubench(u32 which, u64 n) {
  switch (which) {
    case 0: return registers(n);
    case 1: return crc32(n);
    case 2: return sieve(n);
    case 3: return sort(n);
    default: return sha256(n);
  }
}

#ifndef NATIVE
__asm__(".section .text.start,\"ax\"\n.global _start\n_start:\n call cpubench\n hlt\n jmp _start\n");
#endif
