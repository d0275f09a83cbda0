/* The machine around the containers: its mounts, clock, entropy and loopback. */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <stdint.h>

/* Descriptor of /dev/null, opened by machine_mounts. */
extern int null_fd;

void machine_mounts(void);
void loopback_up(void);
/* Nanoseconds since 1970. */
uint64_t clock_now(void);
int set_clock(uint64_t nanoseconds);
void add_entropy(const void *seed, uint32_t length);

#endif
