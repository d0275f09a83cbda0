/*
 * Writes the alphabet to COM1, slowly, from ring 3 (bench/guest/ring3.S). The next letter is in a general register, in memory, in XMM6 and
 * in the x87: when they disagree the guest says so with a "!". Then it ends by the exit port.
 */
#include "../../bench/guest/ring3.h"

enum { DELAY = 8000000 };

static volatile uint32_t letter = 'a';

void guest(const struct hvm_start_info *info) {
  (void)info;
  uint32_t one = 1, sse, x87;
  uint32_t next = 'a';
  __asm__ volatile("movd %0, %%xmm6\n\tfninit\n\tfildl %1" : : "r"(next), "m"(next));
  while (next <= 'z') {
    out8(COM1, next);
    for (uint32_t i = 0; i < DELAY; i++) __asm__ volatile("" : "+r"(next));
    next++;
    letter++;
    __asm__ volatile("movd %2, %%xmm7\n\tpaddd %%xmm7, %%xmm6\n\tmovd %%xmm6, %0\n\tfiaddl %2\n\tfistl %1" : "=r"(sse), "=m"(x87) : "m"(one));
    if (letter != next || sse != next || x87 != next) {
      text("!");
      break;
    }
  }
  end();
}
