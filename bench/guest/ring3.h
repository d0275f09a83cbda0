/* What the C code of a ring-3 guest (ring3.S) needs: ports, COM1, the clock, the PVH start information. */
#include <stddef.h>
#include <stdint.h>

enum { COM1 = 0x3f8, EXIT_PORT = 0xf4 };

/* xen/include/public/arch-x86/hvm/start_info.h */
struct hvm_start_info {
  uint32_t magic, version, flags, nr_modules;
  uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr;
};

static inline void out8(uint16_t port, uint8_t value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint64_t ticks(void) {
  uint32_t low, high;
  __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
  return (uint64_t)high << 32 | low;
}

static inline void text(const char *s) {
  while (*s) out8(COM1, *s++);
}

static inline void number(uint64_t n) {
  char digits[21], *p = digits + 20;
  *p = 0;
  do *--p = '0' + n % 10; while ((n /= 10) > 0);
  text(p);
}

/* Ends the run: status 1 of `vmm boot --exit-on port` and of QEMU's isa-debug-exit. */
static inline void end(void) {
  for (;;) out8(EXIT_PORT, 0);
}
