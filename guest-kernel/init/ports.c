#include "ports.h"

#include <sys/io.h>

#include "options.h"

void write_port(uint16_t port, uint8_t value)
{
	if (options.test_directory || ioperm(port, 1, 1))
		return;
	outb(value, port);
	/* The permission would pass to children and through execve. */
	ioperm(port, 1, 0);
}

void mark(uint8_t value)
{
	write_port(PORT_MARK, value);
}
