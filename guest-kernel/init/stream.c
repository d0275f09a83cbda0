#define _GNU_SOURCE
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol.h"
#include "transport.h"
#include "wire.h"

/* Chunks that one stream may move before the others get their turn. */
#define TURN 16
/* Output that a terminal may still hold when its process has ended: more than its buffers have room for. */
#define TERMINAL_REST (1024 * 1024)
#define MAX_LINGERING 256

static uint8_t token[TOKEN_SIZE];
static struct stream *lingering;
static unsigned lingering_count;

static void stream_ready_socket(struct watch *w, uint32_t events);
static void stream_ready_local(struct watch *w, uint32_t events);

void stream_set_token(const uint8_t *bytes)
{
	memcpy(token, bytes, sizeof token);
}

void stream_forget_token(void)
{
	explicit_bzero(token, sizeof token);
}

static void stream_free(struct stream *s)
{
	watch_close(&s->socket);
	watch_close(&s->local);
	free(s->up.bytes);
	free(s->down.bytes);
	free_later(s);
}

struct stream *stream_open(uint32_t process, uint16_t number, int local, void (*drained)(void *), void *owner)
{
	struct stream *s = calloc(1, sizeof *s);
	int err;

	if (!s) {
		close(local);
		return NULL;
	}
	s->owner = owner;
	s->drained = drained;
	s->number = number;
	s->local.fd = local;
	s->local.ready = stream_ready_local;
	s->socket.ready = stream_ready_socket;
	s->up.active = number != STREAM_STDIN;
	s->down.active = number == STREAM_STDIN || number == STREAM_TTY || number == STREAM_SOCKET;
	s->head_left = STREAM_HEADER_SIZE;
	store_u32(s->head, STREAM_MAGIC);
	store_u16(s->head + 4, PROTOCOL_VERSION_MAX);
	store_u16(s->head + 6, number);
	store_u32(s->head + 8, process);
	memcpy(s->head + 16, token, TOKEN_SIZE);
	s->up.bytes = s->up.active ? malloc(STREAM_BUFFER) : NULL;
	s->down.bytes = s->down.active ? malloc(STREAM_BUFFER) : NULL;
	s->socket.fd = host_connect(PORT_STREAM);
	err = errno;
	if (s->socket.fd < 0 || (s->up.active && !s->up.bytes) || (s->down.active && !s->down.bytes)) {
		stream_free(s);
		errno = err;
		return NULL;
	}
	s->connecting = true;
	watch_set(&s->socket, EPOLLOUT);
	return s;
}

bool stream_is_drained(const struct stream *s)
{
	return !s->up.active;
}

/* A socket's owner waits for both of its directions. */
static void socket_finished(struct stream *s)
{
	if (s->number == STREAM_SOCKET && !s->up.active && !s->down.active && s->drained)
		s->drained(s->owner);
}

static void up_finished(struct stream *s)
{
	if (!s->up.active)
		return;
	s->up.active = false;
	if (!s->down.active)
		watch_close(&s->local);
	if (s->number != STREAM_SOCKET && s->drained)
		s->drained(s->owner);
	socket_finished(s);
}

static void down_finished(struct stream *s)
{
	s->down.active = false;
	/* A terminal stays open for its output; a pipe's reader must see the end, and a socket's. */
	if (!s->up.active)
		watch_close(&s->local);
	else if (s->number == STREAM_SOCKET)
		shutdown(s->local.fd, SHUT_WR);
	socket_finished(s);
}

static void stop_lingering(struct stream *s)
{
	for (struct stream **link = &lingering; *link; link = &(*link)->next_lingering) {
		if (*link == s) {
			*link = s->next_lingering;
			lingering_count--;
			break;
		}
	}
	stream_free(s);
}

/* The host is gone for this stream: the process gets EPIPE on output and the end on input. */
static void socket_lost(struct stream *s)
{
	watch_close(&s->socket);
	s->lost = s->up.active;
	s->down.active = false;
	watch_close(&s->local);
	if (s->lingering)
		stop_lingering(s);
	else if (s->up.active)
		up_finished(s);
	else
		socket_finished(s);
}

/* A chunk from the process into the buffer. 1: got some or the end, 0: nothing yet. */
static int read_local(struct stream *s)
{
	size_t want = STREAM_BUFFER;
	ssize_t n;

	if (s->exited && s->left < want)
		want = (size_t)s->left;
	n = want ? read(s->local.fd, s->up.bytes, want) : 0;
	if (n < 0 && errno == EINTR)
		return 1;
	if (n < 0 && errno == EAGAIN && !s->exited)
		return 0;
	if (n <= 0) {
		/* 0 from a pipe, EIO from a terminal whose other side is closed, EAGAIN after the exit */
		s->up.ended = true;
		return 1;
	}
	s->up.offset = 0;
	s->up.length = (uint32_t)n;
	if (s->exited)
		s->left -= (uint64_t)n;
	return 1;
}

/* 1: wrote some, 0: the connection is full, -1: it is lost. */
static int write_socket(struct stream *s, const uint8_t *bytes, uint32_t length, uint32_t *written)
{
	ssize_t n = send(s->socket.fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

	*written = n > 0 ? (uint32_t)n : 0;
	if (n >= 0 || errno == EINTR)
		return 1;
	return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
}

/* false: the stream is gone. */
static bool send_head(struct stream *s)
{
	uint32_t n;

	while (s->head_left) {
		int rc = write_socket(s, s->head + STREAM_HEADER_SIZE - s->head_left, s->head_left, &n);

		if (rc < 0) {
			socket_lost(s);
			return false;
		}
		if (rc == 0)
			return true;
		s->head_left -= n;
	}
	explicit_bzero(s->head, sizeof s->head);
	return true;
}

static bool pump_up(struct stream *s)
{
	struct pump *p = &s->up;

	for (int turn = 0; turn < TURN && p->active; turn++) {
		uint32_t n;
		int rc;

		if (p->length == 0 && !p->ended && !read_local(s))
			break;
		if (p->length == 0) {
			if (!p->ended)
				continue;
			shutdown(s->socket.fd, SHUT_WR);
			up_finished(s);
			break;
		}
		rc = write_socket(s, p->bytes + p->offset, p->length, &n);
		if (rc < 0) {
			socket_lost(s);
			return false;
		}
		if (rc == 0)
			break;
		p->offset += n;
		p->length -= n;
		p->total += n;
	}
	return true;
}

static bool pump_down(struct stream *s)
{
	struct pump *p = &s->down;

	for (int turn = 0; turn < TURN && p->active; turn++) {
		ssize_t n;

		if (p->length == 0 && !p->ended) {
			n = recv(s->socket.fd, p->bytes, STREAM_BUFFER, MSG_DONTWAIT);
			if (n < 0 && (errno == EAGAIN || errno == EINTR))
				break;
			if (n < 0) {
				socket_lost(s);
				return false;
			}
			p->ended = n == 0;
			p->offset = 0;
			p->length = (uint32_t)n;
			p->total += (uint64_t)n;
		}
		if (p->length == 0) {
			down_finished(s);
			break;
		}
		n = write(s->local.fd, p->bytes + p->offset, p->length);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			/* The process closed its end; what the host still sends has no reader. */
			if (s->number == STREAM_STDIN) {
				socket_lost(s);
				return false;
			}
			p->length = 0;
			continue;
		}
		p->offset += (uint32_t)n;
		p->length -= (uint32_t)n;
	}
	return true;
}

static void update_interest(struct stream *s)
{
	uint32_t local = 0, socket = 0;

	if (s->head_left)
		socket |= EPOLLOUT;
	if (s->up.active)
		*(s->up.length ? &socket : &local) |= s->up.length ? EPOLLOUT : EPOLLIN;
	if (s->down.active)
		*(s->down.length ? &local : &socket) |= s->down.length ? EPOLLOUT : EPOLLIN;
	if (s->socket.fd >= 0)
		watch_set(&s->socket, socket);
	if (s->local.fd < 0)
		return;
	/* EPOLLHUP cannot be masked: while the connection is full, a pipe at its end would spin the loop. */
	if (local)
		watch_set(&s->local, local);
	else if (s->number == STREAM_STDIN && s->down.active)
		watch_set(&s->local, 0); /* EPOLLERR: the reader is gone */
	else
		watch_remove(&s->local);
}

static void pump_both(struct stream *s)
{
	if (!send_head(s))
		return;
	if (!s->head_left) {
		if (s->down.active && !pump_down(s))
			return;
		if (s->up.active && !pump_up(s))
			return;
	}
	/* The end of the output may have made the owner let go. */
	if (s->socket.fd >= 0 && !s->lingering)
		update_interest(s);
}

/* Reads and drops until the host closes, so that no unread byte turns our close into a reset. */
static void linger(struct stream *s)
{
	static uint8_t dropped[4096];
	ssize_t n;

	while ((n = recv(s->socket.fd, dropped, sizeof dropped, MSG_DONTWAIT)) > 0)
		;
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		stop_lingering(s);
}

static void stream_ready_socket(struct watch *w, uint32_t events)
{
	struct stream *s = container_of(w, struct stream, socket);

	if (s->connecting) {
		if (connect_result(w->fd)) {
			socket_lost(s);
			return;
		}
		s->connecting = false;
	} else if (events & (EPOLLERR | EPOLLHUP)) {
		/* Both directions are closed; input that has arrived is still passed on. */
		if (!s->lingering && s->down.active && !(events & EPOLLERR)) {
			pump_both(s);
			if (s->socket.fd < 0 || (s->down.active && s->down.length)) {
				if (s->socket.fd >= 0)
					watch_remove(&s->socket);
				return;
			}
		}
		socket_lost(s);
		return;
	}
	if (s->lingering)
		linger(s);
	else
		pump_both(s);
}

static void stream_ready_local(struct watch *w, uint32_t events)
{
	struct stream *s = container_of(w, struct stream, local);

	if (s->number == STREAM_STDIN && events & EPOLLERR) {
		socket_lost(s);
		return;
	}
	pump_both(s);
}

void stream_begin(struct stream *s)
{
	if (!s->connecting && s->socket.fd >= 0)
		pump_both(s);
}

void stream_process_ended(struct stream *s)
{
	int waiting = 0;

	s->exited = true;
	s->down.active = false;
	if (!s->up.active) {
		watch_close(&s->local);
		return;
	}
	/*
	 * What the process wrote is in the pipe by now. A child that it left behind may write on for
	 * ever; that is not waited for. A terminal counts only what its line discipline has taken, so
	 * there reading goes on until nothing comes.
	 */
	if (s->number == STREAM_TTY)
		s->left = TERMINAL_REST;
	else if (ioctl(s->local.fd, FIONREAD, &waiting) == 0)
		s->left = (uint64_t)waiting;
	if (!s->connecting)
		pump_both(s);
}

void stream_release(struct stream *s)
{
	s->drained = NULL;
	watch_close(&s->local);
	if (s->up.active || s->socket.fd < 0 || s->connecting) {
		stream_free(s);
		return;
	}
	free(s->up.bytes);
	free(s->down.bytes);
	s->up.bytes = s->down.bytes = NULL;
	s->down.active = false;
	shutdown(s->socket.fd, SHUT_WR);
	s->lingering = true;
	s->next_lingering = lingering;
	lingering = s;
	if (++lingering_count > MAX_LINGERING) {
		struct stream *oldest = lingering;

		while (oldest->next_lingering)
			oldest = oldest->next_lingering;
		stop_lingering(oldest);
	}
	watch_set(&s->socket, EPOLLIN);
}
