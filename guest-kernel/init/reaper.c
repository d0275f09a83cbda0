/* The tiny PID 1 of a container with --init: passes signals on, reaps, ends as its child ends. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "launch.h"
#include "sys.h"

static int as_exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

_Noreturn void reaper_run(int child)
{
	sigset_t all;

	/* Its copies of the pipes would keep them open after the command has closed its own. */
	sys_close_range(0, ~0u, 0);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (;;) {
		siginfo_t info;
		int signal = sigwaitinfo(&all, &info);

		if (signal == SIGCHLD) {
			pid_t pid;
			int status;

			while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
				if (pid == child)
					_exit(as_exit_status(status));
		} else if (signal > 0 && child > 0) {
			kill(child, signal);
		} else if (child == 0 && (signal == SIGTERM || signal == SIGINT)) {
			_exit(0);
		}
	}
}
