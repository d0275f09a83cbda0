/* Structures that container.c (requests) and process.c (one process from clone to EXIT) share. */
#ifndef VMM_PROCESS_H
#define VMM_PROCESS_H

#include <sys/resource.h>
#include <sys/types.h>

#include "launch.h"
#include "loop.h"
#include "stream.h"

struct container {
	struct container *next;
	uint32_t id;
	struct process *main;
	uint32_t process_count;
	int leader; /* pidfd of the main process */
	int cgroup, devpts;
	struct watch notify; /* fd -1: it is not asked whether it is ready */
	bool ready;
	int space; /* what the overlay writes to; -1: nothing */
	bool owns_pids, ended;
	uint32_t stop_signal;
	uint64_t oom_kills;
};

struct process {
	struct process *next;
	uint32_t id, request;
	uint16_t request_type;
	struct container *container;
	bool change;              /* of a container's mounts: init's own process, that nothing of the container's can end or freeze */
	struct source *adding;    /* a disk that it mounts first, or NULL */
	void (*gone)(struct process *p); /* it is reported; freed after this */
	pid_t pid;
	int pidfd;
	struct watch status;      /* the child's report; closed once it is known */
	int hold;                 /* write end: lets a held command go; -1: not held (any more) */
	struct failure failure;
	bool started, reaped, draining;
	bool answered;            /* the request that waited for the status */
	int wait_status;
	struct rusage usage;
	struct stream *streams[3]; /* a terminal's is the first */
	bool tty;
	int slave;                /* keeps the terminal alive between two openings by the container */
};

extern struct process *processes;

/*
 * Makes the streams and the child. `pid_namespace`: a pidfd whose PID namespace it enters, -1: none.
 * 0, or -1 with f filled; the process is freed then.
 */
int process_launch(struct process *p, struct launch *l, uint64_t clone_flags, int pid_namespace, struct failure *f);
/* Lets a held command go: `request` is answered when it runs. */
int process_release(struct process *p, uint32_t request, uint16_t type, struct failure *f);
void process_ended(struct process *p, int status, const struct rusage *usage);

#endif
