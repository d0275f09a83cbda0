/* Users and groups as the container's own /etc/passwd and /etc/group name them. */
#ifndef VMM_USERS_H
#define VMM_USERS_H

#include <sys/types.h>

#include "spec.h"

#define MAX_GROUPS 1024

struct identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[MAX_GROUPS];
	uint32_t group_count;
	char home[512];
};

/*
 * Resolves "user", "user:group", numbers, or "" (0), and the additional groups, below the
 * directory `root`. A number needs no entry; a number is never taken for a name. The group is among
 * the supplementary ones, once.
 */
int resolve_user(int root, const struct process_spec *spec, struct identity *id, struct failure *f);

#endif
