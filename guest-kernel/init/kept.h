/* Files of containers that init keeps, so that their content can be changed while they are mounted. */
#ifndef VMM_KEPT_H
#define VMM_KEPT_H

#include "spec.h"

/* START, in the child before the change of root: writes the file; a detached mount of it, or -1 with f filled. */
int kept_make(uint32_t container, const struct file_spec *file, struct failure *f);
/* New content for a file that was made; all who have it mounted see it. */
int kept_write(uint32_t container, const struct file_spec *file, struct failure *f);
/* The container is gone. */
void kept_remove(uint32_t container);

#endif
