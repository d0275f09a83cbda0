/*
 * init: PID 1 of a vmm guest. It mounts what the machine needs, connects to the host and does what
 * docs/agent-protocol.md says: starts containers, passes their streams on, reports how they end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"
#include "control.h"
#include "fatal.h"
#include "loop.h"
#include "machine.h"
#include "options.h"
#include "ports.h"

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
