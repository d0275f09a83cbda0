/*
 * The child's half of START and EXEC: between clone3 and execve. Everything here runs in a process
 * of its own and reports through a pipe that a successful execve closes.
 */
#ifndef VMM_LAUNCH_H
#define VMM_LAUNCH_H

#include "spec.h"

struct launch {
	const struct process_spec *process;
	const struct container_spec *container; /* NULL: EXEC into a running one */
	int status;        /* write end: one struct failure (code 0: prepared, and held), or its end */
	int hold;          /* read end: a byte lets a prepared command go; -1: it is not held */
	int stdio[3];      /* pipe ends or null_fd; a terminal's slave three times */
	bool tty;
	int devpts;        /* a detached devpts of the container, -1: none */
	int leader;        /* EXEC: pidfd of the container's first process */
	int joined[NS_COUNT]; /* START: pidfds of the containers whose namespaces it joins, -1: none */
	const char *lower, *upper; /* directories in init's mount namespace; upper NULL: tmpfs */
	int notify;        /* a socket that gets a name in the container's root, -1: none */
	int space;         /* a detached tmpfs for the overlay, or the scratch disk's directory; -1: none */
};

_Noreturn void launch_child(const struct launch *l);

/* root.c: builds the container's root on BASE/root. */
int build_root(const struct launch *l, struct failure *f);
/* mounts.c: what is done before and after the change of root. */
int prepare_mounts(const struct launch *l, struct failure *f);
int enter_root(struct failure *f);
int furnish_root(const struct launch *l, struct failure *f);
/* A mount of init's as a detached tree, from its namespace; and its attaching in a container's, which closes it. */
int mount_take(const struct mount_spec *m, struct failure *f);
int mount_attach(int root, const struct mount_spec *m, int tree, struct failure *f);
/* change.c: a mount of a container that runs. The source is opened before its namespaces are joined, the rest is done behind that. */
int change_open(const struct process_spec *p, struct failure *f);
int change_mount(const struct process_spec *p, int source, struct failure *f);
/* paths.c: makes missing directories of a path that stays below `root`; an O_PATH descriptor, or -1. */
int ensure_directory(int root, const char *path, unsigned mode);
int ensure_file(int root, const char *path, unsigned mode);
/* enter.c: credentials, limits and execve. */
_Noreturn void enter_process(const struct launch *l);
_Noreturn void launch_failed(const struct launch *l, const struct failure *f);
/* reaper.c: PID 1 of a container with --init (child > 0), or of a sandbox (child 0). */
_Noreturn void reaper_run(int child);

#endif
