#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"
#include "container.h"
#include "device.h"
#include "fatal.h"
#include "listen.h"
#include "loop.h"
#include "machine.h"
#include "network.h"
#include "power.h"
#include "protocol.h"
#include "raise.h"
#include "stream.h"
#include "uevent.h"

#ifndef INIT_BUILD
#define INIT_BUILD "unknown"
#endif

#define DEVICE_TIMEOUT_MS 10000
#define MAX_WAITING 64
/* After how long a drive is looked at again, then after twice as long. */
#define LOOK_AGAIN_MS 4

static bool greeted;

/* Requests that wait for a disk. */
struct waiting {
	struct waiting *next;
	uint16_t type;
	uint32_t id;
	uint8_t *payload;
	uint32_t length;
	struct failure failure;
	struct timer timer;
	uint64_t until, wait; /* ms */
};
static struct waiting *waiting;
static unsigned waiting_count;

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
	greeted = true;
	return 0;
}

static int set_time(struct reader r, struct failure *f)
{
	struct field field;
	uint64_t time;

	if (next_field(&r, &field) != 1 || (field.tag != TAG_TIME && field.tag != TAG_TIME_STEP) || !field_u64(&field, &time))
		return fail(f, ERR_INVALID, 0, "SET_TIME: one field TIME or TIME_STEP of 8 bytes");
	/* A step does not depend on when it is read; two's complement does for one backwards. */
	if (field.tag == TAG_TIME_STEP)
		time += clock_now();
	return set_clock(time) ? fail(f, ERR_SYSTEM, errno, "clock_settime: %s", strerror(errno)) : 0;
}

static int card_slot(const char *address, uint32_t action, struct failure *f)
{
	char interface[16];

	if (action == ACTION_REMOVE)
		return network_release(address, f);
	return network_card(address, interface) ? 0
		       : fail(f, ERR_DEVICE, ENOENT, "there is no card with the address '%.32s'", address);
}

static int slot(struct reader r, struct failure *f)
{
	uint32_t kind = 0, action = 0;
	struct arena arena = { 0 };
	const char *name = NULL, *export = NULL;
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
		else if (field.tag == TAG_EXPORT)
			ok = (export = field_string(&arena, &field, MAX_EXPORT)) != NULL;
		else if (field.tag < TAG_OPTIONAL)
			ok = false;
		if (!ok)
			rc = fail(f, ERR_INVALID, 0, "SLOT: field 0x%04x is unknown or malformed", field.tag);
	}
	if (!rc && (more < 0 || !name || (action != ACTION_ADD && action != ACTION_REMOVE)))
		rc = fail(f, ERR_INVALID, 0, "SLOT: malformed");
	if (!rc && kind != SLOT_DISK && kind != SLOT_NIC && kind != SLOT_SHARE)
		rc = fail(f, ERR_UNSUPPORTED, 0, "SLOT: kind %u is not handled by this guest", kind);
	if (!rc && export && kind != SLOT_SHARE)
		rc = fail(f, ERR_INVALID, 0, "SLOT: only a share has exports");
	if (!rc && kind == SLOT_NIC)
		rc = card_slot(name, action, f);
	else if (!rc && export)
		rc = export_change(name, export, action == ACTION_ADD, f);
	else if (!rc && action == ACTION_REMOVE)
		rc = source_remove(kind == SLOT_DISK ? SOURCE_BLOCK : SOURCE_SHARE, name, f);
	else if (!rc && kind == SLOT_DISK && !find_block_device(name, path, sizeof path))
		rc = fail(f, ERR_DEVICE, ENOENT, "there is no disk with the serial '%.64s'", name);
	else if (!rc && kind == SLOT_SHARE)
		rc = share_mount(name, f);
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
	int rc;

	switch (type) {
	case MSG_HELLO:
		return outcome_of(hello(r, f));
	case MSG_START:
		return container_start(id, r, f) ? FAILED : LATER;
	case MSG_EXEC:
		return container_exec(id, r, f) ? FAILED : LATER;
	case MSG_RELEASE:
		return container_release(id, r, f) ? FAILED : LATER;
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
		put_u64(w, TAG_CLOCK, clock_now());
		return NOW;
	case MSG_SYNC:
		sync();
		return NOW;
	case MSG_SLOT:
		return outcome_of(slot(r, f));
	case MSG_NETWORK:
		return outcome_of(network_configure(r, f));
	case MSG_LISTEN:
		return outcome_of(listen_open(r, f));
	case MSG_VOLUME:
		return outcome_of(volume(r, f));
	case MSG_RAISE:
		rc = raise_changes(id, r, w, f);
		return rc < 0 ? FAILED : rc > 0 ? NOW : LATER;
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

static void waiting_look(struct timer *t);

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
	entry->until = now_ms() + DEVICE_TIMEOUT_MS;
	/* The kernel tells nobody that a drive is empty no more (block/genhd.c, set_capacity_and_notify): who fills one sends a SLOT. */
	entry->wait = type == MSG_SLOT ? LOOK_AGAIN_MS : DEVICE_TIMEOUT_MS;
	timer_set(&entry->timer, entry->wait, waiting_look);
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
		connection_reply(type, id, &w);
		return true;
	default:
		return false;
	}
}

static void retry_waiting(void)
{
	struct waiting *next;

	for (struct waiting *entry = waiting; entry; entry = next) {
		struct failure f;

		next = entry->next;
		if (!attempt(entry->type, entry->id, reader_of(entry->payload, entry->length), &f)) {
			if (is_missing_device(&f))
				continue;
			connection_reply_error(entry->type, entry->id, &f);
		}
		waiting_free(entry);
	}
}

static void waiting_look(struct timer *t)
{
	struct waiting *entry = container_of(t, struct waiting, timer);
	uint64_t now = now_ms();
	struct failure f;

	if (now >= entry->until) {
		connection_reply_error(entry->type, entry->id, &entry->failure);
		waiting_free(entry);
		return;
	}
	if (!attempt(entry->type, entry->id, reader_of(entry->payload, entry->length), &f)) {
		if (is_missing_device(&f)) {
			entry->wait = 2 * entry->wait < entry->until - now ? 2 * entry->wait : entry->until - now;
			timer_set(t, entry->wait, waiting_look);
			return;
		}
		connection_reply_error(entry->type, entry->id, &f);
	}
	waiting_free(entry);
	/* Others may wait for the same. */
	retry_waiting();
}

static void dispatch(uint16_t type, uint16_t flags, uint32_t id, struct reader r)
{
	struct failure f;

	/* We send no requests but HELLO, whose answer is the host's own HELLO. */
	if (flags & FLAG_REPLY)
		return;
	if (!greeted && type != MSG_HELLO) {
		fail(&f, ERR_PROTOCOL, 0, "message 0x%04x before HELLO", type);
		connection_reply_error(type, id, &f);
		return;
	}
	if (attempt(type, id, r, &f)) {
		/* The host says that a disk was filled: others may wait for it. */
		if (type == MSG_SLOT && waiting)
			retry_waiting();
		return;
	}
	if (is_missing_device(&f) && uevent_open(retry_waiting) && wait_for_device(type, id, r, &f)) {
		/* It may have come between the look and the subscription. */
		retry_waiting();
		return;
	}
	connection_reply_error(type, id, &f);
	if (type == MSG_HELLO)
		fatal("%s", f.text);
}

void control_open(void)
{
	uint8_t bytes[512], version[4];
	struct writer w = { bytes, 0, sizeof bytes, false };
	struct timespec now;
	struct utsname names;

	connection_open(dispatch);
	store_u16(version, PROTOCOL_VERSION_MIN);
	store_u16(version + 2, PROTOCOL_VERSION_MAX);
	put_bytes(&w, TAG_VERSION, version, sizeof version);
	put_string(&w, TAG_BUILD, INIT_BUILD);
	put_u64(&w, TAG_FEATURES, 0);
	clock_gettime(CLOCK_BOOTTIME, &now);
	put_u64(&w, TAG_BOOT_NS, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	if (uname(&names) == 0)
		put_string(&w, TAG_KERNEL, names.release);
	connection_event(MSG_HELLO, &w);
}
