/* One cgroup v2 directory a container. */
#ifndef VMM_CGROUP_H
#define VMM_CGROUP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "spec.h"

/*
 * Makes the directory and applies "file=value" settings. 0, or -1 with f filled. *cgroup is its
 * descriptor, or -1 when the kernel has no cgroups and none were asked for.
 */
int cgroup_create(uint32_t container, const struct strings *settings, int *cgroup, struct failure *f);
int cgroup_apply(int cgroup, const struct strings *settings, struct failure *f);
void cgroup_remove(uint32_t container);
int cgroup_write(int cgroup, const char *file, const char *value);
/* The file's text, cut at size - 1; false when it cannot be read. */
bool cgroup_read(int cgroup, const char *file, char *text, uint32_t size);
/* A signal for each process of it. */
void cgroup_signal(int cgroup, int signal);
/* Processes killed for lack of memory: the cgroup's own count, or the machine's. */
uint64_t oom_kills(int cgroup);

#endif
