/* Prints the ticks of the time-stamp counter a second. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

int main(void) {
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  uint64_t first = __rdtsc();
  nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
  clock_gettime(CLOCK_MONOTONIC, &to);
  uint64_t last = __rdtsc();
  printf("%.0f\n", (last - first) / ((to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) / 1e9));
}
