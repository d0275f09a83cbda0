#ifndef VMM_POWER_H
#define VMM_POWER_H

#include "wire.h"

/* SHUTDOWN: stops the containers in order, then the machine. */
int power_shutdown(struct reader payload, struct failure *f);

#endif
