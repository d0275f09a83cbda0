/* How init was started, and where its own things lie. */
#ifndef VMM_OPTIONS_H
#define VMM_OPTIONS_H

#include <stdbool.h>

/* Everything init makes for itself lies here, out of the containers' sight. */
#define BASE "/run/vmm"

struct options {
	const char *test_directory;   /* unix sockets instead of vsock, no machine set-up */
	bool test_vsock;              /* but vsock all the same: the kernel's loopback */
	const char *cgroup;           /* the cgroup2 directory that holds the containers' */
};
extern struct options options;

void parse_arguments(int argc, char **argv);

#endif
