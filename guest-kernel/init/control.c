#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "container.h"
#include "device.h"
#include "init.h"
#include "loop.h"
#include "power.h"
#include "protocol.h"
#include "stream.h"
#include "transport.h"
#include "uevent.h"

#ifndef INIT_BUILD
#define INIT_BUILD "unknown"
#endif

/* Reports that wait for the host; more than this and requests are no longer read. */
#define OUT_HIGH_WATER (64 * 1024)
#define OUT_SIZE (OUT_HIGH_WATER + 4 * MAX_REPORT)
#define DEVICE_TIMEOUT_MS 10000
#define MAX_WAITING 64
#define LAST_WORDS_MS 500
/* For output that the host still has to take; it closes when it has. */
#define BYE_MS 10000

static void control_ready(struct watch *w, uint32_t events);

static struct {
	struct watch socket;
	bool connecting, greeted, closing;
	uint8_t header[HEADER_SIZE];
	uint32_t header_length;
	uint8_t *payload;
	uint32_t payload_size, payload_length;
	uint32_t out_offset, out_length;
	void (*closed)(void);
	struct timer deadline;
} control = { .socket = { .fd = -1, .ready = control_ready } };

/* Apart from the initialised rest, so that its pages are not in the file. */
static uint8_t out[OUT_SIZE];

/* Requests that wait for a disk. */
struct waiting {
	struct waiting *next;
	uint16_t type;
	uint32_t id;
	uint8_t *payload;
	uint32_t length;
	struct failure failure;
	struct timer timer;
};
static struct waiting *waiting;
static unsigned waiting_count;

static void update_interest(void)
{
	uint32_t events = 0;

	if (control.socket.fd < 0)
		return;
	if (control.connecting || control.out_length)
		events |= EPOLLOUT;
	if (!control.connecting && control.out_length < OUT_HIGH_WATER)
		events |= EPOLLIN;
	watch_set(&control.socket, events);
}

static void control_lost(const char *why)
{
	watch_close(&control.socket);
	if (control.closing) {
		timer_clear(&control.deadline);
		control.closed();
		return;
	}
	fatal("the control connection to the host is lost: %s", why);
}

static void flush(void)
{
	while (control.out_length && !control.connecting && control.socket.fd >= 0) {
		ssize_t n = send(control.socket.fd, out + control.out_offset, control.out_length,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
			break;
		if (n < 0) {
			control_lost(strerror(errno));
			return;
		}
		control.out_offset += (uint32_t)n;
		control.out_length -= (uint32_t)n;
	}
	if (control.out_length == 0)
		control.out_offset = 0;
	update_interest();
}

static void send_message(uint16_t type, uint16_t flags, uint32_t id, const struct writer *w)
{
	uint32_t length = w ? w->length : 0;
	uint8_t *p;

	if (control.socket.fd < 0)
		return;
	if (w && w->overflow)
		fatal("message 0x%04x does not fit its buffer", type);
	if (OUT_SIZE - control.out_offset - control.out_length < HEADER_SIZE + length) {
		memmove(out, out + control.out_offset, control.out_length);
		control.out_offset = 0;
	}
	if (OUT_SIZE - control.out_length < HEADER_SIZE + length)
		fatal("the host does not read its reports");
	p = out + control.out_offset + control.out_length;
	store_u32(p, length);
	store_u16(p + 4, type);
	store_u16(p + 6, flags);
	store_u32(p + 8, id);
	if (length)
		memcpy(p + HEADER_SIZE, w->bytes, length);
	control.out_length += HEADER_SIZE + length;
	flush();
}

void control_reply(uint16_t type, uint32_t id, const struct writer *w)
{
	send_message(type, FLAG_REPLY, id, w);
}

void control_reply_error(uint16_t type, uint32_t id, const struct failure *f)
{
	uint8_t bytes[512];
	struct writer w = { bytes, 0, sizeof bytes, false };

	put_u32(&w, TAG_CODE, f->code);
	put_u32(&w, TAG_ERRNO, (uint32_t)f->err);
	put_string(&w, TAG_TEXT, f->text);
	send_message(type, FLAG_REPLY | FLAG_ERROR, id, &w);
}

void control_event(uint16_t type, const struct writer *w)
{
	send_message(type, 0, 0, w);
}

void control_last_words(const char *text)
{
	uint8_t bytes[1024];
	struct writer w = { bytes, 0, sizeof bytes, false };
	struct pollfd wait = { .fd = control.socket.fd, .events = POLLIN };
	uint64_t end = now_ms() + LAST_WORDS_MS;

	if (control.socket.fd < 0 || control.connecting || control.closing)
		return;
	control.closing = true;
	put_string(&w, TAG_TEXT, text);
	control_event(MSG_FATAL, &w);
	shutdown(control.socket.fd, SHUT_WR);
	while (now_ms() < end && poll(&wait, 1, (int)(end - now_ms())) > 0)
		if (recv(control.socket.fd, bytes, sizeof bytes, MSG_DONTWAIT) <= 0)
			break;
}

static void bye_time_over(struct timer *t)
{
	(void)t;
	watch_close(&control.socket);
	control.closed();
}

void control_bye(void (*done)(void))
{
	control.closing = true;
	control.closed = done;
	timer_set(&control.deadline, BYE_MS, bye_time_over);
	control_event(MSG_BYE, NULL);
}

static int hello(struct reader r, struct failure *f)
{
	bool has_version = false, has_token = false;
	struct field field;
	int more;

	while ((more = next_field(&r, &field)) == 1) {
		uint64_t time;

		switch (field.tag) {
		case TAG_VERSION:
			if (field.length != 4)
				return fail(f, ERR_PROTOCOL, 0, "HELLO: a malformed version");
			if (get_u16(field.value) > PROTOCOL_VERSION_MAX ||
			    get_u16(field.value + 2) < PROTOCOL_VERSION_MIN)
				return fail(f, ERR_PROTOCOL, 0,
					    "the host speaks agent protocol %u to %u, this guest %u to %u",
					    get_u16(field.value), get_u16(field.value + 2), PROTOCOL_VERSION_MIN,
					    PROTOCOL_VERSION_MAX);
			has_version = true;
			break;
		case TAG_TOKEN:
			if (field.length != TOKEN_SIZE)
				return fail(f, ERR_PROTOCOL, 0, "HELLO: a malformed token");
			stream_set_token(field.value);
			has_token = true;
			break;
		case TAG_TIME:
			if (!field_u64(&field, &time))
				return fail(f, ERR_PROTOCOL, 0, "HELLO: a malformed time");
			set_clock(time);
			break;
		case TAG_SEED:
			if (field.length <= 512)
				add_entropy(field.value, field.length);
			break;
		default:
			if (field.tag < TAG_OPTIONAL)
				return fail(f, ERR_UNSUPPORTED, 0, "HELLO: unknown field 0x%04x", field.tag);
		}
	}
	if (more < 0 || !has_version || !has_token)
		return fail(f, ERR_PROTOCOL, 0, "HELLO: malformed, or without version or token");
	control.greeted = true;
	return 0;
}

static int set_time(struct reader r, struct failure *f)
{
	struct field field;
	uint64_t time;

	if (next_field(&r, &field) != 1 || field.tag != TAG_TIME || !field_u64(&field, &time))
		return fail(f, ERR_INVALID, 0, "SET_TIME: one field TIME of 8 bytes");
	return set_clock(time) ? fail(f, ERR_SYSTEM, errno, "clock_settime: %s", strerror(errno)) : 0;
}

static int slot(struct reader r, struct failure *f)
{
	uint32_t kind = 0, action = 0;
	struct arena arena = { 0 };
	const char *name = NULL;
	char path[4096];
	struct field field;
	int more, rc = 0;

	while ((more = next_field(&r, &field)) == 1) {
		bool ok = true;

		if (field.tag == TAG_SLOT && (ok = field.length == 8))
			kind = get_u32(field.value);
		else if (field.tag == TAG_ACTION)
			ok = field_u32(&field, &action);
		else if (field.tag == TAG_SOURCE)
			ok = (name = field_string(&arena, &field, MAX_PATH)) != NULL;
		else if (field.tag < TAG_OPTIONAL)
			ok = false;
		if (!ok)
			rc = fail(f, ERR_INVALID, 0, "SLOT: field 0x%04x is unknown or malformed", field.tag);
	}
	if (!rc && (more < 0 || !name || (action != ACTION_ADD && action != ACTION_REMOVE)))
		rc = fail(f, ERR_INVALID, 0, "SLOT: malformed");
	if (!rc && kind != SLOT_DISK && kind != SLOT_SHARE)
		rc = fail(f, ERR_UNSUPPORTED, 0, "SLOT: kind %u is not handled by this guest", kind);
	if (!rc && action == ACTION_REMOVE)
		rc = source_remove(kind == SLOT_DISK ? SOURCE_BLOCK : SOURCE_SHARE, name, f);
	else if (!rc && kind == SLOT_DISK && !find_block_device(name, path, sizeof path))
		rc = fail(f, ERR_DEVICE, ENOENT, "there is no disk with the serial '%.64s'", name);
	arena_free(&arena);
	return rc;
}

static int volume(struct reader r, struct failure *f)
{
	struct mount_spec m = { 0 };
	struct arena arena = { 0 };
	const char *name = NULL;
	uint32_t action = 0;
	struct field field;
	int more, rc = 0;

	while (!rc && (more = next_field(&r, &field)) == 1) {
		if (field.tag == TAG_ACTION && field_u32(&field, &action))
			continue;
		if (field.tag == TAG_TARGET && (name = field_string(&arena, &field, 255)))
			continue;
		if (field.tag == TAG_MOUNT)
			rc = parse_mount(&arena, field_reader(&field), &m, f);
		else if (field.tag < TAG_OPTIONAL)
			rc = fail(f, ERR_INVALID, 0, "VOLUME: field 0x%04x is unknown or malformed", field.tag);
	}
	if (!rc && (more < 0 || !name))
		rc = fail(f, ERR_INVALID, 0, "VOLUME: malformed");
	if (!rc && action == ACTION_ADD)
		rc = m.fstype ? volume_add(name, &m, f) : fail(f, ERR_INVALID, 0, "VOLUME: no file system type");
	else if (!rc && action == ACTION_REMOVE)
		rc = volume_remove(name, f);
	else if (!rc)
		rc = fail(f, ERR_INVALID, 0, "VOLUME: action %u", action);
	arena_free(&arena);
	return rc;
}

/* What the request's reply is: later (by the process that it made), now, or an error. */
enum outcome { LATER, NOW, FAILED };

static enum outcome outcome_of(int rc)
{
	return rc ? FAILED : NOW;
}

static enum outcome handle(uint16_t type, uint32_t id, struct reader r, struct writer *w, struct failure *f)
{
	switch (type) {
	case MSG_HELLO:
		return outcome_of(hello(r, f));
	case MSG_START:
		return container_start(id, r, f) ? FAILED : LATER;
	case MSG_EXEC:
		return container_exec(id, r, f) ? FAILED : LATER;
	case MSG_SIGNAL:
		return outcome_of(container_signal(r, f));
	case MSG_RESIZE:
		return outcome_of(container_resize(r, f));
	case MSG_PAUSE:
	case MSG_RESUME:
		return outcome_of(container_freeze(r, type == MSG_PAUSE, f));
	case MSG_STATS:
		return outcome_of(container_stats(r, w, f));
	case MSG_UPDATE:
		return outcome_of(container_update(r, f));
	case MSG_SHUTDOWN:
		return outcome_of(power_shutdown(r, f));
	case MSG_SET_TIME:
		return outcome_of(set_time(r, f));
	case MSG_PING:
		return NOW;
	case MSG_SYNC:
		sync();
		return NOW;
	case MSG_SLOT:
		return outcome_of(slot(r, f));
	case MSG_VOLUME:
		return outcome_of(volume(r, f));
	default:
		fail(f, ERR_UNKNOWN_TYPE, 0, "message type 0x%04x is not known to this guest", type);
		return FAILED;
	}
}

static void waiting_free(struct waiting *entry)
{
	for (struct waiting **link = &waiting; *link; link = &(*link)->next) {
		if (*link == entry) {
			*link = entry->next;
			waiting_count--;
			break;
		}
	}
	timer_clear(&entry->timer);
	free(entry->payload);
	free(entry);
}

static void waiting_time_over(struct timer *t)
{
	struct waiting *entry = container_of(t, struct waiting, timer);

	control_reply_error(entry->type, entry->id, &entry->failure);
	waiting_free(entry);
}

static bool wait_for_device(uint16_t type, uint32_t id, struct reader r, const struct failure *f)
{
	struct waiting *entry;

	if (waiting_count == MAX_WAITING || !(entry = calloc(1, sizeof *entry)))
		return false;
	entry->payload = malloc(r.left);
	if (!entry->payload) {
		free(entry);
		return false;
	}
	memcpy(entry->payload, r.at, r.left);
	entry->length = r.left;
	entry->type = type;
	entry->id = id;
	entry->failure = *f;
	entry->next = waiting;
	waiting = entry;
	waiting_count++;
	timer_set(&entry->timer, DEVICE_TIMEOUT_MS, waiting_time_over);
	return true;
}

static bool is_missing_device(const struct failure *f)
{
	return f->code == ERR_DEVICE && f->err == ENOENT;
}

/* true: answered, or to be answered by a process. */
static bool attempt(uint16_t type, uint32_t id, struct reader r, struct failure *f)
{
	static uint8_t bytes[MAX_REPORT];
	struct writer w = { bytes, 0, sizeof bytes, false };

	memset(f, 0, sizeof *f);
	switch (handle(type, id, r, &w, f)) {
	case LATER:
		return true;
	case NOW:
		control_reply(type, id, &w);
		return true;
	default:
		return false;
	}
}

void control_retry(void)
{
	struct waiting *next;

	for (struct waiting *entry = waiting; entry; entry = next) {
		struct failure f;

		next = entry->next;
		if (!attempt(entry->type, entry->id, reader_of(entry->payload, entry->length), &f)) {
			if (is_missing_device(&f))
				continue;
			control_reply_error(entry->type, entry->id, &f);
		}
		waiting_free(entry);
	}
}

static void dispatch(uint16_t type, uint16_t flags, uint32_t id, struct reader r)
{
	struct failure f;

	/* We send no requests but HELLO, whose answer is the host's own HELLO. */
	if (flags & FLAG_REPLY)
		return;
	if (!control.greeted && type != MSG_HELLO) {
		fail(&f, ERR_PROTOCOL, 0, "message 0x%04x before HELLO", type);
		control_reply_error(type, id, &f);
		return;
	}
	if (attempt(type, id, r, &f)) {
		/* The host says that a disk was filled: others may wait for it. */
		if (type == MSG_SLOT && waiting)
			control_retry();
		return;
	}
	if (is_missing_device(&f) && uevent_open() && wait_for_device(type, id, r, &f)) {
		/* It may have come between the look and the subscription. */
		control_retry();
		return;
	}
	control_reply_error(type, id, &f);
	if (type == MSG_HELLO)
		fatal("%s", f.text);
}

static void read_requests(void)
{
	while (control.socket.fd >= 0 && control.out_length < OUT_HIGH_WATER) {
		uint8_t *at = control.payload ? control.payload + control.payload_length
					      : control.header + control.header_length;
		uint32_t want = control.payload ? control.payload_size - control.payload_length
						: HEADER_SIZE - control.header_length;
		ssize_t n = want ? recv(control.socket.fd, at, want, MSG_DONTWAIT) : 0;

		if (want && n < 0 && errno == EINTR)
			continue;
		if (want && n < 0 && errno == EAGAIN)
			break;
		if (want && n <= 0) {
			control_lost(n ? strerror(errno) : "closed by the host");
			return;
		}
		if (!control.payload) {
			control.header_length += (uint32_t)n;
			if (control.header_length < HEADER_SIZE)
				continue;
			control.payload_size = get_u32(control.header);
			if (control.payload_size > MAX_REQUEST)
				fatal("the host sent a message of %u bytes", control.payload_size);
			control.payload = malloc(control.payload_size + 1);
			if (!control.payload)
				fatal("no memory for a message of %u bytes", control.payload_size);
			control.payload_length = 0;
			continue;
		}
		control.payload_length += (uint32_t)n;
		if (control.payload_length < control.payload_size)
			continue;
		uint8_t *payload = control.payload;

		control.payload = NULL;
		control.header_length = 0;
		dispatch(get_u16(control.header + 4), get_u16(control.header + 6), get_u32(control.header + 8),
			 reader_of(payload, control.payload_size));
		free(payload);
	}
	update_interest();
}

static void control_ready(struct watch *w, uint32_t events)
{
	if (control.connecting) {
		int err = connect_result(w->fd);

		if (err)
			fatal("cannot connect to the host's port %d: %s", PORT_CONTROL, strerror(err));
		control.connecting = false;
	}
	if (events & EPOLLOUT)
		flush();
	if (control.socket.fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_requests();
	else
		update_interest();
}

void control_open(void)
{
	uint8_t bytes[512], version[4];
	struct writer w = { bytes, 0, sizeof bytes, false };
	struct timespec now;
	struct utsname names;

	control.socket.fd = host_connect(PORT_CONTROL);
	if (control.socket.fd < 0)
		fatal("cannot connect to the host's port %d: %m", PORT_CONTROL);
	control.connecting = true;
	store_u16(version, PROTOCOL_VERSION_MIN);
	store_u16(version + 2, PROTOCOL_VERSION_MAX);
	put_bytes(&w, TAG_VERSION, version, sizeof version);
	put_string(&w, TAG_BUILD, INIT_BUILD);
	put_u64(&w, TAG_FEATURES, 0);
	clock_gettime(CLOCK_BOOTTIME, &now);
	put_u64(&w, TAG_BOOT_NS, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	if (uname(&names) == 0)
		put_string(&w, TAG_KERNEL, names.release);
	control_event(MSG_HELLO, &w);
	update_interest();
}
