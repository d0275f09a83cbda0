/* Which device nodes the processes of a cgroup may make, read and write: a BPF program at the cgroup. */
#ifndef VMM_DEVICE_RULES_H
#define VMM_DEVICE_RULES_H

#include "spec.h"

/* All that no rule allows is refused. No rules: nothing is. 0, or -1 with f filled. */
int restrict_devices(int cgroup, const struct container_spec *s, struct failure *f);

#endif
