/* LISTEN: a port of the guest whose connections go to the host, each as a stream. */
#ifndef VMM_LISTEN_H
#define VMM_LISTEN_H

#include "wire.h"

/* 0 once connections are taken, or -1 with f filled. */
int listen_open(struct reader payload, struct failure *f);

#endif
