#define _GNU_SOURCE
#include "fatal.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "options.h"
#include "ports.h"

void (*on_fatal)(const char *text);

static void vsay(const char *format, va_list arguments, char *text, size_t size)
{
	char line[600];
	int n;

	vsnprintf(text, size, format, arguments);
	n = snprintf(line, sizeof line, "vmm-init: %s\n", text);
	/* Nothing can be done about a console that does not take it. */
	if (write(2, line, (size_t)n) < 0)
		return;
}

void say(const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsay(format, arguments, text, sizeof text);
	va_end(arguments);
}

void fatal(const char *format, ...)
{
	static bool again;
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsay(format, arguments, text, sizeof text);
	va_end(arguments);
	if (!again && on_fatal) {
		again = true;
		on_fatal(text);
	}
	if (options.test_directory)
		_exit(1);
	sync();
	/* The host shall not take this for an ordinary power off. */
	write_port(PORT_POWER, POWER_PORT_PANIC);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
