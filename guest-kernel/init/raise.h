/* What programs of the host change in a share, made known to the programs of this guest. */
#ifndef VMM_RAISE_H
#define VMM_RAISE_H

#include <stdint.h>

#include "wire.h"

/*
 * RAISE. 0: the reply comes when all is raised. 1: the reply is `w`, at once. -1 with f filled.
 */
int raise_changes(uint32_t request, struct reader payload, struct writer *w, struct failure *f);

#endif
