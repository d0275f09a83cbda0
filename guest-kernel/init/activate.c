#define _GNU_SOURCE
#include "activate.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol.h"

/* All addresses of both families, as systemd's ListenStream= with a number. */
static int listening(uint16_t port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool both = fd >= 0;
	int one = 1, zero = 0, err;

	if (!both)
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
	    (!both || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero) == 0) &&
	    bind(fd, both ? (struct sockaddr *)&six : (struct sockaddr *)&four, both ? sizeof six : sizeof four) == 0 &&
	    listen(fd, SOMAXCONN) == 0)
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

int activate_open(const struct container_spec *c, int *sockets, struct failure *f)
{
	for (uint32_t i = 0; i < c->activated_count; i++) {
		int fd = listening(c->activated[i]);

		sockets[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, ACTIVATED_BASE);
		if (sockets[i] < 0)
			return fail(f, ERR_SYSTEM, errno, "cannot listen at port %u: %s", c->activated[i], strerror(errno));
		close(fd);
	}
	return 0;
}

void activate_place(const struct container_spec *c, const int *sockets)
{
	for (uint32_t i = 0; i < c->activated_count; i++)
		dup2(sockets[i], 3 + (int)i);
}
