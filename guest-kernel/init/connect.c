/* A connection from the host to a port of the container's: standard input and output on one side, TCP on the other. */
#define _GNU_SOURCE
#include "builtin.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "sys.h"

static int dial(uint16_t port)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&four, sizeof four) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&six, sizeof six) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Until the end of what comes; -1: the connection broke. */
static int copy(int from, int to)
{
	static char buffer[65536];
	ssize_t n;

	while ((n = read(from, buffer, sizeof buffer)) > 0)
		for (ssize_t done = 0; done < n;) {
			ssize_t put = write(to, buffer + done, (size_t)(n - done));

			if (put < 0)
				return -1;
			done += put;
		}
	return n < 0 ? -1 : 0;
}

/* Each direction by a process of its own, so that one that is held up does not hold the other up. */
int connect_run(const char *text)
{
	unsigned long port = strtoul(text, NULL, 10);
	int fd = port > 0 && port < 65536 ? dial((uint16_t)port) : -1;
	pid_t parent = getpid(), child;
	int rc;

	if (fd < 0) {
		fprintf(stderr, "port %.16s: %s\n", text, strerror(errno));
		return STATUS_MISSING;
	}
	child = fork();
	if (child < 0)
		return failed("fork"), 1;
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		copy(STDIN_FILENO, fd);
		shutdown(fd, SHUT_WR);
		_exit(0);
	}
	close(STDIN_FILENO);
	/* The server's end is the connection's: the child goes with us. */
	rc = copy(fd, STDOUT_FILENO);
	return rc ? 1 : 0;
}
