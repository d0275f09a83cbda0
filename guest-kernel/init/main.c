/*
 * init: PID 1 of a vmm guest. It mounts what the machine needs, connects to the host and does what
 * docs/agent-protocol.md says: starts containers, passes their streams on, reports how they end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"
#include "control.h"
#include "init.h"
#include "loop.h"

struct options options;

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
	if (!again) {
		again = true;
		control_last_words(text);
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

static void signal_ready(struct watch *w, uint32_t events)
{
	struct signalfd_siginfo info[8];

	(void)events;
	while (read(w->fd, info, sizeof info) > 0)
		;
	reap();
}

static struct watch signals = { .fd = -1, .ready = signal_ready };

static void watch_signals(void)
{
	sigset_t all, wanted;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	signals.fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals.fd < 0)
		fatal("signalfd: %m");
	watch_set(&signals, EPOLLIN);
}

static void set_own_limits(void)
{
	/* Two descriptors a stream, three streams a process. */
	struct rlimit files = { 1048576, 1048576 };
	int fd;

	if (setrlimit(RLIMIT_NOFILE, &files) && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "-1000", 5) < 0)
		if (!options.test_directory)
			say("oom_score_adj: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void parse_arguments(int argc, char **argv)
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

int main(int argc, char **argv)
{
	parse_arguments(argc, argv);
	mark(MARK_MAIN);
	if (getpid() != 1) {
		fprintf(stderr, "vmm-init: must be process 1\n");
		return 2;
	}
	umask(0);
	loop_init();
	watch_signals();
	/* The host answers while we mount. */
	control_open();
	machine_mounts();
	set_own_limits();
	loopback_up();
	loop_run();
}
