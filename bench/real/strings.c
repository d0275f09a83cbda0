/* What programs do with glibc's functions of strings and memory, which it chooses by CPUID when it starts: static, so that nothing else is in it. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1 << 16, ROUNDS = 1500 };

static char text[SIZE + 64], copy[SIZE + 64];

int main(void) {
  unsigned seed = 1, sum = 0;
  for (int i = 0; i < SIZE; i++) {
    seed = seed * 1103515245 + 12345;
    text[i] = (seed >> 16) % 9 == 0 ? ' ' : 'a' + (seed >> 18) % 26;
  }
  for (int round = 0; round < ROUNDS; round++) {
    size_t at = (unsigned)round % 61, length = 64 + (unsigned)round * 37 % (SIZE - 256);
    memcpy(copy + at % 16, text + at, length);
    copy[at % 16 + length] = 0;
    sum = sum * 31 + (unsigned)strlen(copy) + (unsigned)memcmp(copy + at % 16, text + at, length);
    sum += (unsigned)(strchr(copy + at % 16, ' ') - copy) + (memchr(text + at, '#', length) != NULL);
    sum += (unsigned)strspn(copy + at % 16, "abcdefghijklmnopqrstuvwxyz") + (unsigned)strcspn(copy + at % 16, "zq ");
    sum += strstr(copy + at % 16, "zzqzz") != NULL;
    memmove(copy + 3, copy, length);
    memset(copy, round, at + 100);
    sum += (unsigned)strncasecmp(text + at, text + at, 2000) + (unsigned)strcmp(text + 1, text + 1);
  }
  printf("%u\n", sum);
  return 0;
}
