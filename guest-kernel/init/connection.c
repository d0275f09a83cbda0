#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fatal.h"
#include "loop.h"
#include "protocol.h"
#include "transport.h"

/* Reports that wait for the host; more than this and requests are no longer read. */
#define OUT_HIGH_WATER (64 * 1024)
#define OUT_SIZE (OUT_HIGH_WATER + 4 * MAX_REPORT)
#define LAST_WORDS_MS 500
/* For output that the host still has to take; it closes when it has. */
#define BYE_MS 10000

static void connection_ready(struct watch *w, uint32_t events);

static struct {
	struct watch socket;
	bool connecting, closing;
	uint8_t header[HEADER_SIZE];
	uint32_t header_length;
	uint8_t *payload;
	uint32_t payload_size, payload_length;
	uint32_t out_offset, out_length;
	message_handler *received;
	void (*closed)(void);
	struct timer deadline;
} connection = { .socket = { .fd = -1, .ready = connection_ready } };

/* Apart from the initialised rest, so that its pages are not in the file. */
static uint8_t out[OUT_SIZE];

static void update_interest(void)
{
	uint32_t events = 0;

	if (connection.socket.fd < 0)
		return;
	if (connection.connecting || connection.out_length)
		events |= EPOLLOUT;
	if (!connection.connecting && connection.out_length < OUT_HIGH_WATER)
		events |= EPOLLIN;
	watch_set(&connection.socket, events);
}

static void connection_lost(const char *why)
{
	watch_close(&connection.socket);
	if (connection.closing) {
		timer_clear(&connection.deadline);
		connection.closed();
		return;
	}
	fatal("the control connection to the host is lost: %s", why);
}

static void flush(void)
{
	while (connection.out_length && !connection.connecting && connection.socket.fd >= 0) {
		ssize_t n = send(connection.socket.fd, out + connection.out_offset, connection.out_length,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
			break;
		if (n < 0) {
			connection_lost(strerror(errno));
			return;
		}
		connection.out_offset += (uint32_t)n;
		connection.out_length -= (uint32_t)n;
	}
	if (connection.out_length == 0)
		connection.out_offset = 0;
	update_interest();
}

static void send_message(uint16_t type, uint16_t flags, uint32_t id, const struct writer *w)
{
	uint32_t length = w ? w->length : 0;
	uint8_t *p;

	if (connection.socket.fd < 0)
		return;
	if (w && w->overflow)
		fatal("message 0x%04x does not fit its buffer", type);
	if (OUT_SIZE - connection.out_offset - connection.out_length < HEADER_SIZE + length) {
		memmove(out, out + connection.out_offset, connection.out_length);
		connection.out_offset = 0;
	}
	if (OUT_SIZE - connection.out_length < HEADER_SIZE + length)
		fatal("the host does not read its reports");
	p = out + connection.out_offset + connection.out_length;
	store_u32(p, length);
	store_u16(p + 4, type);
	store_u16(p + 6, flags);
	store_u32(p + 8, id);
	if (length)
		memcpy(p + HEADER_SIZE, w->bytes, length);
	connection.out_length += HEADER_SIZE + length;
	flush();
}

void connection_reply(uint16_t type, uint32_t id, const struct writer *w)
{
	send_message(type, FLAG_REPLY, id, w);
}

void connection_reply_error(uint16_t type, uint32_t id, const struct failure *f)
{
	uint8_t bytes[512];
	struct writer w = { bytes, 0, sizeof bytes, false };

	put_u32(&w, TAG_CODE, f->code);
	put_u32(&w, TAG_ERRNO, (uint32_t)f->err);
	put_string(&w, TAG_TEXT, f->text);
	send_message(type, FLAG_REPLY | FLAG_ERROR, id, &w);
}

void connection_event(uint16_t type, const struct writer *w)
{
	send_message(type, 0, 0, w);
}

static void last_words(const char *text)
{
	uint8_t bytes[1024];
	struct writer w = { bytes, 0, sizeof bytes, false };
	struct pollfd wait = { .fd = connection.socket.fd, .events = POLLIN };
	uint64_t end = now_ms() + LAST_WORDS_MS;

	if (connection.socket.fd < 0 || connection.connecting || connection.closing)
		return;
	connection.closing = true;
	put_string(&w, TAG_TEXT, text);
	connection_event(MSG_FATAL, &w);
	shutdown(connection.socket.fd, SHUT_WR);
	while (now_ms() < end && poll(&wait, 1, (int)(end - now_ms())) > 0)
		if (recv(connection.socket.fd, bytes, sizeof bytes, MSG_DONTWAIT) <= 0)
			break;
}

static void bye_time_over(struct timer *t)
{
	(void)t;
	watch_close(&connection.socket);
	connection.closed();
}

void connection_bye(void (*done)(void))
{
	connection.closing = true;
	connection.closed = done;
	timer_set(&connection.deadline, BYE_MS, bye_time_over);
	connection_event(MSG_BYE, NULL);
}

static void read_messages(void)
{
	while (connection.socket.fd >= 0 && connection.out_length < OUT_HIGH_WATER) {
		uint8_t *at = connection.payload ? connection.payload + connection.payload_length
					      : connection.header + connection.header_length;
		uint32_t want = connection.payload ? connection.payload_size - connection.payload_length
						: HEADER_SIZE - connection.header_length;
		ssize_t n = want ? recv(connection.socket.fd, at, want, MSG_DONTWAIT) : 0;

		if (want && n < 0 && errno == EINTR)
			continue;
		if (want && n < 0 && errno == EAGAIN)
			break;
		if (want && n <= 0) {
			connection_lost(n ? strerror(errno) : "closed by the host");
			return;
		}
		if (!connection.payload) {
			connection.header_length += (uint32_t)n;
			if (connection.header_length < HEADER_SIZE)
				continue;
			connection.payload_size = get_u32(connection.header);
			if (connection.payload_size > MAX_REQUEST)
				fatal("the host sent a message of %u bytes", connection.payload_size);
			connection.payload = malloc(connection.payload_size + 1);
			if (!connection.payload)
				fatal("no memory for a message of %u bytes", connection.payload_size);
			connection.payload_length = 0;
			continue;
		}
		connection.payload_length += (uint32_t)n;
		if (connection.payload_length < connection.payload_size)
			continue;
		uint8_t *payload = connection.payload;

		connection.payload = NULL;
		connection.header_length = 0;
		connection.received(get_u16(connection.header + 4), get_u16(connection.header + 6), get_u32(connection.header + 8),
				    reader_of(payload, connection.payload_size));
		free(payload);
	}
	update_interest();
}

static void connection_ready(struct watch *w, uint32_t events)
{
	if (connection.connecting) {
		int err = connect_result(w->fd);

		if (err)
			fatal("cannot connect to the host's port %d: %s", PORT_CONTROL, strerror(err));
		connection.connecting = false;
	}
	if (events & EPOLLOUT)
		flush();
	if (connection.socket.fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_messages();
	else
		update_interest();
}

void connection_open(message_handler *received)
{
	connection.socket.fd = host_connect(PORT_CONTROL);
	if (connection.socket.fd < 0)
		fatal("cannot connect to the host's port %d: %m", PORT_CONTROL);
	connection.connecting = true;
	connection.received = received;
	on_fatal = last_words;
	update_interest();
}
