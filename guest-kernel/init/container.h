/* Containers and their processes, seen from init: who runs, where, and how each ended. */
#ifndef VMM_CONTAINER_H
#define VMM_CONTAINER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

/*
 * START. 0: the reply comes when the command runs or failed; -1 with f filled. ERR_DEVICE with
 * errno ENOENT: a disk is not there yet, nothing has been done.
 */
int container_start(uint32_t request, struct reader payload, struct failure *f);
int container_exec(uint32_t request, struct reader payload, struct failure *f);
/* RELEASE: as START, for a container that was prepared and held. */
int container_release(uint32_t request, struct reader payload, struct failure *f);
int container_signal(struct reader payload, struct failure *f);
int container_resize(struct reader payload, struct failure *f);
int container_freeze(struct reader payload, bool freeze, struct failure *f);
int container_update(struct reader payload, struct failure *f);
int container_stats(struct reader payload, struct writer *w, struct failure *f);

/* SIGCHLD: takes all that have ended, ours and orphans. */
void reap(void);
/* For each container its stop signal (0), or SIGKILL for all that is left. */
void containers_stop(bool force);
bool containers_gone(void);
/* Called each time a container is gone. */
extern void (*on_container_gone)(void);

#endif
