#define _GNU_SOURCE
#include "notify.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "launch.h"
#include "protocol.h"

int notify_open(struct watch *w, struct failure *f)
{
	w->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->fd < 0)
		return fail(f, ERR_SYSTEM, errno, "cannot make a socket for notifications: %s", strerror(errno));
	return 0;
}

int notify_bind(int fd, int root, struct failure *f)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = NOTIFY_SOCKET };
	int directory = ensure_directory(root, NOTIFY_DIRECTORY, 0755);

	/* A tmpfs: the container's root may be a directory of the host, where no socket shall stay. */
	if (directory < 0 || mount("tmpfs", NOTIFY_DIRECTORY, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=65536") ||
	    bind(fd, (struct sockaddr *)&name, sizeof name) || chmod(NOTIFY_SOCKET, 0777))
		return fail(f, ERR_MOUNT, errno, "cannot make %s: %s", NOTIFY_SOCKET, strerror(errno));
	close(directory);
	return 0;
}

bool notify_says_ready(int fd)
{
	static const char ready[] = "READY=1";
	static char text[4097];
	/* Without a control buffer: descriptors that come along are closed by the kernel. */
	ssize_t n = recv(fd, text, sizeof text - 1, 0);

	if (n <= 0)
		return false;
	text[n] = 0;
	for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (!strncmp(line, ready, sizeof ready - 1) && (line[sizeof ready - 1] == '\n' || !line[sizeof ready - 1]))
			return true;
	return false;
}
