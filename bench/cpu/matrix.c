/* Products of 64 × 64 matrices of doubles; the result is a hash of the last one's bits. */
static double a[64][64], b[64][64], c[64][64];

unsigned long matrix(unsigned unused, unsigned long n) {
  (void)unused;
  for (int i = 0; i < 64; i++)
    for (int j = 0; j < 64; j++) a[i][j] = (i * 7 + j * 3) % 11 - 5, b[i][j] = 1.0 / (1 + i + j);
  for (unsigned long t = 0; t < n; t++) {
    for (int i = 0; i < 64; i++)
      for (int j = 0; j < 64; j++) {
        double s = 0;
        for (int k = 0; k < 64; k++) s += a[i][k] * b[k][j];
        c[i][j] = s;
      }
    for (int i = 0; i < 64; i++) a[i][(i * 5) & 63] = c[i][i] * 0.125;
  }
  unsigned long hash = 0;
  for (int i = 0; i < 64; i++)
    for (int j = 0; j < 64; j++) {
      unsigned long bits;
      __builtin_memcpy(&bits, &c[i][j], 8);
      hash = hash * 31 + bits;
    }
  return hash;
}
