/* What happens to files of a container, told as it happens: inotify(7). */
#define _GNU_SOURCE
#include "builtin.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "sys.h"

#define EVENTS (IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | \
		IN_DELETE_SELF | IN_MOVE_SELF)

/* Little-endian, as this machine is; the name is behind it. */
struct event {
	uint32_t mask, length;
};

static int put_event(uint32_t mask, const char *name)
{
	struct event e = { mask, (uint32_t)strlen(name) };

	return put(&e, sizeof e) || put(name, e.length) ? -1 : 0;
}

/* Ends when nobody reads any more, or when what is watched is gone. The first event, of mask 0, says that it looks. */
int watch_run(const char *path)
{
	static char buffer[65536] __attribute__((aligned(8)));
	int fd = inotify_init1(IN_CLOEXEC);
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = STDOUT_FILENO } };

	if (fd < 0 || inotify_add_watch(fd, path, EVENTS) < 0)
		return missing(path);
	if (put_event(0, ""))
		return 0;
	for (;;) {
		ssize_t n;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return failed("poll"), 1;
		if (fds[1].revents)
			return 0;
		if (!fds[0].revents)
			continue;
		n = read(fd, buffer, sizeof buffer);
		for (char *at = buffer; n > 0 && at < buffer + n;) {
			const struct inotify_event *e = (const struct inotify_event *)at;

			if (e->mask & IN_IGNORED || put_event(e->mask, e->len ? e->name : ""))
				return 0;
			at += sizeof *e + e->len;
		}
	}
}
