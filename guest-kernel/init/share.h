/* Shares (virtio-fs devices) by their tags, and what lies below the root of a mounted one. */
#ifndef VMM_SHARE_H
#define VMM_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/* What mount(2) is asked for. */
struct share_device {
	char device[4096];
	const char *fstype;
	uint64_t flags;
};

/* false: not there (yet). */
bool find_share(const char *tag, struct share_device *d);
/* An O_PATH descriptor of a directory or file below `root`; a submount is entered. -1 with errno. */
int open_below(int root, const char *path);
/* Lets go of a submount of `root`, where there is one; 0, or -1 with errno. */
int leave_below(int root, const char *name);

#endif
