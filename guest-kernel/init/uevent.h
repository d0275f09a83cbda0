#ifndef VMM_UEVENT_H
#define VMM_UEVENT_H

#include <stdbool.h>

/* From now on a block device or a card that appears or changes calls changed(). false: errno says why not. */
bool uevent_open(void (*changed)(void));

#endif
