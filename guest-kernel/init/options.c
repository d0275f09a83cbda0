#include "options.h"

#include <stddef.h>
#include <string.h>

struct options options;

void parse_arguments(int argc, char **argv)
{
	/* The kernel passes words of its command line that it does not know; none of them is for us. */
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(argv[i], "--test-socket"))
			options.test_directory = value;
		else if (!strcmp(argv[i], "--test-cgroup"))
			options.cgroup = value;
		else if (!strcmp(argv[i], "--test-vsock"))
			options.test_vsock = true;
	}
}
