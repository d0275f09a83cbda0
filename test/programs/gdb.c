// What the debugger's tests stop, step and look into. Compiled with -O0 -g.
typedef unsigned int u32;
typedef unsigned long u64;

#define LAPIC ((volatile u32 *)0xfee00000ul)

volatile u64 counter;    // watched
volatile u64 ready;      // set by the second vCPU
volatile u64 go_on = 1;  // cleared by gdb
volatile double half = 0.5;
u64 table[16];

static inline void outb(unsigned short port, unsigned char value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

static void say(const char *text) {
  while (*text) outb(0x3f8, *text++);
}

__attribute__((noinline)) u64 inner(u64 a, u64 b) {
  u64 sum = a + b;
  table[sum & 15] = sum;
  return sum * 3;
}

__attribute__((noinline)) u64 outer(u64 n) {
  u64 total = 0;
  for (u64 i = 0; i < n; i++) total += inner(i, n);
  return total;
}

__attribute__((noinline)) double scale(double x) {
  return x * half;
}

// The second vCPU's: counts for ever.
void second(void) {
  ready = 1;
  for (u64 rounds = 0;; rounds++) table[15] = rounds;
}

static void start_second(void) {
  LAPIC[0xf0 / 4] = 0x1ff;
  LAPIC[0x300 / 4] = 0x000c4500; // INIT, all but self
  for (volatile int i = 0; i < 100000; i++) continue;
  LAPIC[0x300 / 4] = 0x000c4600 | 8; // SIPI at 0x8000
  while (!ready) continue;
}

__attribute__((noinline)) void bump(u64 by) {
  counter += by;
}

__attribute__((noinline)) void wait_for_gdb(void) {
  while (go_on) continue;
}

int main(void) {
#if CPUS > 1
  start_second();
#endif
  u64 total = outer(4);
  double scaled = scale(5.0);
  bump(1);
  bump(41);
  say("before the loop\n");
  wait_for_gdb();
  say("after the loop\n");
  outb(0xf4, (unsigned char)(counter + (total == 66) + (scaled == 2.5)));
  return 0;
}
