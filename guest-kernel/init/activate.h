/* Socket activation (sd_listen_fds(3)): a command that begins with sockets that listen already. */
#ifndef VMM_ACTIVATE_H
#define VMM_ACTIVATE_H

#include "spec.h"

/* Where sockets and the status pipe wait, above the places that the command finds them in. */
#define ACTIVATED_BASE (3 + MAX_ACTIVATED)

/* Makes them, in the container's network; 0, or -1 with f filled. To be called with all rights. */
int activate_open(const struct container_spec *c, int *sockets, struct failure *f);
/* Descriptors 3 and up, to pass an execve. */
void activate_place(const struct container_spec *c, const int *sockets);

#endif
