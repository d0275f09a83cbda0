/* How a container tells that it is ready: the datagrams of sd_notify(3), at a socket of its own. */
#ifndef VMM_NOTIFY_H
#define VMM_NOTIFY_H

#include "loop.h"
#include "wire.h"

#define NOTIFY_DIRECTORY "/run/systemd"
#define NOTIFY_SOCKET NOTIFY_DIRECTORY "/notify"

/* A socket without a name, watched once it has one; 0, or -1 with f filled. */
int notify_open(struct watch *w, struct failure *f);
/* In the child, `root` being the container's: gives `fd` its name, on a file system of its own. */
int notify_bind(int fd, int root, struct failure *f);
/* Takes one datagram: whether it says READY=1. The rest of what a service may tell is not for init. */
bool notify_says_ready(int fd);

#endif
