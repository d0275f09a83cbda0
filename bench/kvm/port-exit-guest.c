/* Writes COM1's scratch register COUNT times and tells on COM1 how many ticks that took, ROUNDS times, a line each. */
#include "../guest/ring3.h"

enum { COUNT = 20000, ROUNDS = 3, SCRATCH = COM1 + 7 };

void guest(void) {
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t start = ticks();
    for (int i = 0; i < COUNT; i++) out8(SCRATCH, i);
    number(ticks() - start);
    text("\n");
  }
  end();
}
