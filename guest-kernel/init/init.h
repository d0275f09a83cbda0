/* What the parts of init share: options, fatal errors, marks, where things lie. */
#ifndef VMM_INIT_H
#define VMM_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Everything init makes for itself lies here, out of the containers' sight. */
#define BASE "/run/vmm"

struct options {
	const char *test_directory;   /* unix sockets instead of vsock, no machine set-up */
	bool test_vsock;              /* but vsock all the same: the kernel's loopback */
	const char *cgroup;           /* the cgroup2 directory that holds the containers' */
};
extern struct options options;

/* Descriptor of /dev/null, opened once at the start. */
extern int null_fd;

/* Prints one line to the console, tells the host if it can, and stops the machine as failed. */
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* One line to the console. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Boot time-line marks on the port vmm_mark. */
#define PORT_POWER 0x600
#define PORT_MARK 0x601
#define MARK_MAIN 0x40
#define MARK_EXEC 0x41
#define MARK_ENDED 0x42
#define POWER_PORT_PANIC 3
void mark(uint8_t value);
void write_port(uint16_t port, uint8_t value);

/* machine.c: the machine around the containers. */
void machine_mounts(void);
void loopback_up(void);
int set_clock(uint64_t nanoseconds);
void add_entropy(const void *seed, uint32_t length);

#endif
