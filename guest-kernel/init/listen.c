#define _GNU_SOURCE
#include "listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "divert.h"
#include "fields.h"
#include "loop.h"
#include "network.h"
#include "protocol.h"
#include "stream.h"

/* Each has two buffers of STREAM_BUFFER; whoever has them all open keeps only its own pod waiting. */
#define MAX_FORWARDED 32
#define MAX_LISTENERS 8

struct listener {
	struct listener *next;
	struct watch socket;
	uint32_t number;
	unsigned open;
};

struct forwarded {
	struct listener *listener;
	struct stream *stream;
};

static struct listener *listeners;

/* Both directions have ended, or the host is gone. */
static void forwarded_over(void *owner)
{
	struct forwarded *one = owner;

	one->listener->open--;
	stream_release(one->stream);
	free(one);
}

static void listener_ready(struct watch *w, uint32_t events)
{
	struct listener *l = container_of(w, struct listener, socket);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct forwarded *one;

	(void)events;
	if (fd < 0)
		return;
	if (l->open == MAX_FORWARDED || !(one = malloc(sizeof *one))) {
		close(fd);
		return;
	}
	one->listener = l;
	one->stream = stream_open(l->number, STREAM_SOCKET, fd, forwarded_over, one);
	if (!one->stream) {
		free(one);
		return;
	}
	l->open++;
}

/* A socket at ADDRESS and `port`, or -1 with errno. */
static int bound_socket(const struct field *address, uint16_t port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = { 0 };
	bool v4 = address->length == 8;
	int fd, one = 1;

	if (v4) {
		a.v4.sin_port = htons(port);
		memcpy(&a.v4.sin_addr, address->value + 4, 4);
	} else {
		a.v6.sin6_port = htons(port);
		memcpy(&a.v6.sin6_addr, address->value + 4, 16);
	}
	a.any.sa_family = v4 ? AF_INET : AF_INET6;
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, &a.any, v4 ? sizeof a.v4 : sizeof a.v6) || listen(fd, MAX_FORWARDED)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

static int check_number(uint32_t number, struct failure *f)
{
	unsigned count = 0;

	for (struct listener *l = listeners; l; l = l->next) {
		if (l->number == number)
			return fail(f, ERR_EXISTS, 0, "LISTEN: listener %u exists", number);
		count++;
	}
	return count < MAX_LISTENERS ? 0 : fail(f, ERR_LIMIT, 0, "LISTEN: there are %u listeners already", count);
}

int listen_open(struct reader payload, struct failure *f)
{
	uint32_t number = 0, port = 0, shared = 0;
	struct field field, address = { 0 };
	struct listener *l;
	int more, rc = 0;

	while (!rc && (more = next_field(&payload, &field)) == 1) {
		if (field.tag == TAG_LISTENER)
			rc = take_u32(&field, &number, f);
		else if (field.tag == TAG_PORT)
			rc = take_u32(&field, &port, f);
		else if (field.tag == TAG_SHARED_PORT)
			rc = take_u32(&field, &shared, f);
		else if (field.tag == TAG_ADDRESS)
			address = field;
		else
			rc = unknown(f, &field);
	}
	if (rc)
		return -1;
	if (more < 0 || !number || !port || port > 65535 || shared > 65535 || !address.value)
		return fail(f, ERR_INVALID, 0, "LISTEN: malformed, or without LISTENER, ADDRESS or PORT");
	if (shared && address.length != 8)
		return fail(f, ERR_INVALID, 0, "LISTEN: SHARED_PORT is for addresses of IPv4");
	if (check_number(number, f) || network_loopback(&address, f))
		return -1;
	l = calloc(1, sizeof *l);
	if (!l)
		return fail(f, ERR_SYSTEM, ENOMEM, "LISTEN: no memory");
	l->number = number;
	l->socket.ready = listener_ready;
	l->socket.fd = bound_socket(&address, (uint16_t)port);
	if (l->socket.fd < 0) {
		fail(f, ERR_SYSTEM, errno, "LISTEN: port %u cannot be had: %s", port, strerror(errno));
		free(l);
		return -1;
	}
	if (shared && divert_port(l->socket.fd, address.value + 4, shared, f)) {
		close(l->socket.fd);
		free(l);
		return -1;
	}
	l->next = listeners;
	listeners = l;
	watch_set(&l->socket, EPOLLIN);
	return 0;
}
