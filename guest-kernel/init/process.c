/* One process from clone3 to its EXIT report. */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>

#include "cgroup.h"
#include "connection.h"
#include "fatal.h"
#include "machine.h"
#include "protocol.h"
#include "sys.h"

struct process *processes;

static void stream_drained(void *owner);

static void close_fd(int *fd)
{
	if (*fd >= 0 && *fd != null_fd)
		close(*fd);
	*fd = -1;
}

static void process_free(struct process *p)
{
	for (struct process **link = &processes; *link; link = &(*link)->next) {
		if (*link == p) {
			*link = p->next;
			break;
		}
	}
	for (int i = 0; i < 3; i++)
		if (p->streams[i])
			stream_release(p->streams[i]);
	watch_close(&p->status);
	close_fd(&p->hold);
	close_fd(&p->slave);
	close_fd(&p->pidfd);
	free_later(p);
}

static int stream_error(struct failure *f, const char *what)
{
	return fail(f, ERR_SYSTEM, errno, "%s: %s", what, strerror(errno));
}

static int open_terminal(struct process *p, struct launch *l, struct failure *f)
{
	const struct process_spec *s = l->process;
	int unlock = 0;
	int master = openat(p->container->devpts, "ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (master < 0)
		return fail(f, ERR_TTY, errno, "cannot open a terminal: %s", strerror(errno));
	if (ioctl(master, TIOCSPTLCK, &unlock) ||
	    (p->slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
		fail(f, ERR_TTY, errno, "cannot open the terminal's other side: %s", strerror(errno));
		close(master);
		return -1;
	}
	if (s->has_winsize) {
		struct winsize size = { s->winsize[0], s->winsize[1], s->winsize[2], s->winsize[3] };

		ioctl(master, TIOCSWINSZ, &size);
	}
	l->stdio[0] = l->stdio[1] = l->stdio[2] = p->slave;
	p->streams[0] = stream_open(p->id, STREAM_TTY, master, stream_drained, p);
	return p->streams[0] ? 0 : stream_error(f, "cannot open the terminal's stream");
}

/* Standard stream i as a pipe, init's end without blocking. */
static int open_pipe(struct process *p, struct launch *l, int i, struct failure *f)
{
	int ends[2], ours, theirs;

	if (pipe2(ends, O_CLOEXEC))
		return stream_error(f, "cannot make a pipe");
	ours = i == STREAM_STDIN ? ends[1] : ends[0];
	theirs = i == STREAM_STDIN ? ends[0] : ends[1];
	l->stdio[i] = theirs;
	fcntl(ours, F_SETFL, O_NONBLOCK);
	p->streams[i] = stream_open(p->id, (uint16_t)i, ours, stream_drained, p);
	return p->streams[i] ? 0 : stream_error(f, "cannot open a stream");
}

static int open_streams(struct process *p, struct launch *l, struct failure *f)
{
	for (int i = 0; i < 3; i++)
		l->stdio[i] = null_fd;
	if (p->tty)
		return open_terminal(p, l, f);
	for (int i = 0; i < 3; i++)
		if (l->process->stdio >> i & 1 && open_pipe(p, l, i, f))
			return -1;
	return 0;
}

static void close_child_ends(struct process *p, struct launch *l)
{
	if (!p->tty)
		for (int i = 0; i < 3; i++)
			close_fd(&l->stdio[i]);
	close_fd(&l->status);
	close_fd(&l->hold);
}

/* START, EXEC or RELEASE has come to its end. From then on the process has an end to report. */
static void answer_started(struct process *p)
{
	uint8_t bytes[64];
	struct writer w = { bytes, 0, sizeof bytes, false };

	p->started = true;
	if (p->answered)
		return;
	p->answered = true;
	put_u32(&w, TAG_PROCESS, p->id);
	put_u32(&w, TAG_PID, (uint32_t)p->pid);
	connection_reply(p->request_type, p->request, &w);
}

/* The command is prepared, or runs, or the child says why not. */
static void read_status(struct process *p)
{
	struct failure f;
	ssize_t n = read(p->status.fd, &f, sizeof f);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == (ssize_t)sizeof f && f.code == 0) {
		answer_started(p);
		return;
	}
	watch_close(&p->status);
	if (n == (ssize_t)sizeof f) {
		f.text[sizeof f.text - 1] = 0;
		p->failure = f;
		/* Its owner answers, when the disk is let go of. */
		if (p->adding)
			return;
		if (!p->answered)
			connection_reply_error(p->request_type, p->request, &f);
		p->answered = true;
		return;
	}
	/* Killed before execve, or a change that is done: its end is reported as any other. */
	answer_started(p);
}

int process_release(struct process *p, uint32_t request, uint16_t type, struct failure *f)
{
	if (p->hold < 0 || !p->started)
		return fail(f, ERR_INVALID, 0, "process %u is not held", p->id);
	p->request = request;
	p->request_type = type;
	p->answered = false;
	/* A child that is dead by now is answered for when its end is read. */
	if (write(p->hold, "", 1) < 0 && errno != EPIPE)
		fatal("cannot let a command go: %m");
	close_fd(&p->hold);
	return 0;
}

static void status_ready(struct watch *w, uint32_t events)
{
	(void)events;
	read_status(container_of(w, struct process, status));
}

static pid_t clone_child(struct process *p, struct launch *l, uint64_t flags, int pid_namespace, struct failure *f)
{
	static int own_pid_namespace = -1;
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&p->pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;
	int err;

	if (p->container->cgroup >= 0 && !p->change) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)p->container->cgroup;
	}
	if (pid_namespace >= 0) {
		/* Only what children get changes, so one clone3 gives a child of ours inside the container. */
		if (own_pid_namespace < 0)
			own_pid_namespace = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
		if (own_pid_namespace < 0 || setns(pid_namespace, CLONE_NEWPID)) {
			fail(f, ERR_NAMESPACE, errno, "cannot enter the PID namespace: %s", strerror(errno));
			return -1;
		}
	}
	pid = sys_clone3(&args);
	if (pid == 0)
		launch_child(l);
	err = errno;
	if (pid_namespace >= 0 && setns(own_pid_namespace, CLONE_NEWPID))
		fatal("setns to init's own PID namespace: %m");
	if (pid < 0)
		fail(f, ERR_SYSTEM, err, "cannot make a process: %s", strerror(err));
	return pid;
}

int process_launch(struct process *p, struct launch *l, uint64_t clone_flags, int pid_namespace, struct failure *f)
{
	bool held = l->container && l->container->hold;
	int ends[2] = { -1, -1 }, hold[2] = { -1, -1 };

	p->pidfd = p->slave = p->status.fd = p->hold = -1;
	p->status.ready = status_ready;
	p->next = processes;
	processes = p;
	l->tty = p->tty;
	l->status = l->hold = -1;
	if (open_streams(p, l, f) == 0) {
		if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) || (held && pipe2(hold, O_CLOEXEC))) {
			stream_error(f, "cannot make a pipe");
			close_fd(&ends[0]);
			close_fd(&ends[1]);
		} else {
			l->status = ends[1];
			p->status.fd = ends[0];
			l->hold = hold[0];
			p->hold = hold[1];
			p->pid = clone_child(p, l, clone_flags, pid_namespace, f);
		}
	}
	close_child_ends(p, l);
	if (p->pid <= 0) {
		process_free(p);
		return -1;
	}
	watch_set(&p->status, EPOLLIN);
	return 0;
}

/* Less than this is left when writing has failed: file systems keep some for themselves. */
#define FULL_BYTES 65536

static bool is_full(int space)
{
	struct statfs fs;

	if (space < 0 || fstatfs(space, &fs))
		return false;
	return (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize < FULL_BYTES || (fs.f_files && fs.f_ffree == 0);
}

static void report_exit(struct process *p)
{
	uint8_t bytes[256], status[12], totals[16], usage[24];
	struct writer w = { bytes, 0, sizeof bytes, false };
	bool signaled = WIFSIGNALED(p->wait_status);
	uint32_t flags = 0, streams = 0;

	for (int i = 0; i < 3; i++)
		if (p->streams[i] && !p->streams[i]->lost)
			streams |= 1u << p->streams[i]->number;
	if (signaled && WCOREDUMP(p->wait_status))
		flags |= STATUS_CORE;
	if (oom_kills(p->container->cgroup) > p->container->oom_kills)
		flags |= STATUS_OOM;
	if (is_full(p->container->space))
		flags |= STATUS_FULL;
	store_u32(status, signaled ? STATUS_SIGNALED : STATUS_EXITED);
	store_u32(status + 4, (uint32_t)(signaled ? WTERMSIG(p->wait_status) : WEXITSTATUS(p->wait_status)));
	store_u32(status + 8, flags);
	store_u64(totals, p->tty ? p->streams[0]->up.total : p->streams[1] ? p->streams[1]->up.total : 0);
	store_u64(totals + 8, !p->tty && p->streams[2] ? p->streams[2]->up.total : 0);
	store_u64(usage, (uint64_t)p->usage.ru_utime.tv_sec * 1000000 + (uint64_t)p->usage.ru_utime.tv_usec);
	store_u64(usage + 8, (uint64_t)p->usage.ru_stime.tv_sec * 1000000 + (uint64_t)p->usage.ru_stime.tv_usec);
	store_u64(usage + 16, (uint64_t)p->usage.ru_maxrss * 1024);
	put_u32(&w, TAG_PROCESS, p->id);
	put_bytes(&w, TAG_STATUS, status, sizeof status);
	put_bytes(&w, TAG_BYTES, totals, sizeof totals);
	put_u32(&w, TAG_STREAMS, streams);
	put_bytes(&w, TAG_USAGE, usage, sizeof usage);
	connection_event(MSG_EXIT, &w);
}

/* The report comes after the output: once all of it is in the connections. */
static void finish_if_drained(struct process *p)
{
	if (!p->draining)
		return;
	for (int i = 0; i < 3; i++)
		if (p->streams[i] && !stream_is_drained(p->streams[i]))
			return;
	if (p->started)
		report_exit(p);
	p->gone(p);
	process_free(p);
}

static void stream_drained(void *owner)
{
	finish_if_drained(owner);
}

void process_ended(struct process *p, int status, const struct rusage *usage)
{
	p->reaped = true;
	p->wait_status = status;
	p->usage = *usage;
	/* What it said before it ended: at most that it was prepared, then a failure, then nothing more. */
	for (int i = 0; i < 3 && p->status.fd >= 0; i++)
		read_status(p);
	if (p->status.fd >= 0) {
		/* Somebody else holds the write end: cannot be, its owner set O_CLOEXEC. */
		watch_close(&p->status);
		p->started = true;
	}
	close_fd(&p->slave);
	for (int i = 0; i < 3; i++)
		if (p->streams[i])
			stream_process_ended(p->streams[i]);
	p->draining = true;
	finish_if_drained(p);
}
