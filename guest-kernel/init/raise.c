/*
 * A process of its own does again what a program of the host has done to a file of a share, so that the kernel tells
 * those who watch it (inotify(7)). The device knows the process by its number, and does nothing for it on the host: so it
 * must not do anything before the host has said that number.
 */
#define _GNU_SOURCE
#include "raise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connection.h"
#include "device.h"
#include "loop.h"
#include "protocol.h"
#include "sys.h"

/* As it goes to the process; the path follows, with its NUL. */
struct change {
	uint32_t kinds, mode, length;
};

static void raiser_ready(struct watch *w, uint32_t events);
static struct watch raiser = { .fd = -1, .ready = raiser_ready };
static pid_t raiser_pid;
/* What it is at, for whom. */
static bool busy;
static uint32_t asked;

/* ---- the process ---- */

/* No link is followed: what the host has may have changed again. */
static int open_beneath(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static int make(int dir, const char *name, mode_t mode)
{
	if (S_ISDIR(mode))
		return mkdirat(dir, name, 0700);
	if (S_ISLNK(mode))
		return symlinkat("raised", dir, name);
	return mknodat(dir, name, (mode & S_IFMT) | 0600, 0);
}

static void raise_one(int root, const struct change *c, char *path)
{
	/* linux/fs.h, fsnotify_change: a time of change alone is a modification, both times are attributes. */
	const struct timespec changed[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_NOW } };
	char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	int dir = root, fd;
	bool attrib = c->kinds & CHANGE_ATTRIB;

	if (slash) {
		*slash = 0;
		dir = open_beneath(root, path, O_PATH | O_DIRECTORY);
		if (dir < 0)
			return;
	}
	if (c->kinds & CHANGE_DELETE)
		unlinkat(dir, name, S_ISDIR(c->mode) ? AT_REMOVEDIR : 0);
	/* Somebody has looked it up already: then it has changed. */
	if (c->kinds & CHANGE_CREATE && make(dir, name, c->mode) && errno == EEXIST)
		attrib = true;
	if (c->kinds & CHANGE_MODIFY)
		utimensat(dir, name, changed, AT_SYMLINK_NOFOLLOW);
	if (attrib)
		utimensat(dir, name, NULL, AT_SYMLINK_NOFOLLOW);
	if (c->kinds & CHANGE_CLOSE_WRITE && S_ISREG(c->mode)) {
		fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
	}
	if (dir != root)
		close(dir);
}

/* One message: a share's mount point with its NUL, and changes. Answers each with a byte. */
static _Noreturn void raiser_run(int fd)
{
	static uint8_t message[1 << 17];
	sigset_t none;
	ssize_t n;

	prctl(PR_SET_NAME, "raise");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Its files are init's no longer: it holds none of them open. */
	if (dup2(fd, 0) < 0)
		_exit(1);
	sys_close_range(1, ~0u, 0);
	while ((n = recv(0, message, sizeof message, 0)) > 0) {
		uint8_t *at = message + strlen((char *)message) + 1, *end = message + n;
		int root = open((char *)message, O_PATH | O_DIRECTORY | O_CLOEXEC);

		while (root >= 0 && end - at > (ptrdiff_t)sizeof(struct change)) {
			struct change c;

			memcpy(&c, at, sizeof c);
			at += sizeof c;
			raise_one(root, &c, (char *)at);
			at += c.length + 1;
		}
		if (root >= 0)
			close(root);
		if (send(0, "", 1, MSG_NOSIGNAL) != 1)
			break;
	}
	_exit(0);
}

/* ---- init ---- */

static void answer(uint32_t request)
{
	uint8_t bytes[16];
	struct writer w = { bytes, 0, sizeof bytes, false };

	put_u32(&w, TAG_PID, (uint32_t)raiser_pid);
	connection_reply(MSG_RAISE, request, &w);
}

static void raiser_ready(struct watch *w, uint32_t events)
{
	char byte;
	bool over = recv(w->fd, &byte, 1, MSG_DONTWAIT) != 1 && (events & (EPOLLHUP | EPOLLERR));

	if (over) {
		watch_close(w);
		raiser_pid = 0;
	} else if (!busy) {
		return;
	}
	if (busy)
		answer(asked);
	busy = false;
}

static int raiser_start(struct failure *f)
{
	int pair[2];

	if (raiser.fd >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return fail(f, ERR_SYSTEM, errno, "RAISE: %s", strerror(errno));
	raiser_pid = fork();
	if (raiser_pid == 0)
		raiser_run(pair[1]);
	close(pair[1]);
	if (raiser_pid < 0) {
		raiser_pid = 0;
		close(pair[0]);
		return fail(f, ERR_SYSTEM, errno, "RAISE: %s", strerror(errno));
	}
	raiser.fd = pair[0];
	watch_set(&raiser, EPOLLIN);
	return 0;
}

/* CHANGE: u32 kinds, u32 mode, path. */
static int add_change(uint8_t *message, size_t *at, size_t size, const struct field *field, struct failure *f)
{
	struct change c;

	if (field->length < 9 || field->length - 8 > MAX_PATH || memchr(field->value + 8, 0, field->length - 8))
		return fail(f, ERR_INVALID, 0, "RAISE: a malformed change");
	c = (struct change){ get_u32(field->value), get_u32(field->value + 4), field->length - 8 };
	if (*at + sizeof c + c.length + 1 > size)
		return fail(f, ERR_LIMIT, 0, "RAISE: too long");
	memcpy(message + *at, &c, sizeof c);
	memcpy(message + *at + sizeof c, field->value + 8, c.length);
	*at += sizeof c + c.length;
	message[(*at)++] = 0;
	return 0;
}

int raise_changes(uint32_t request, struct reader payload, struct writer *w, struct failure *f)
{
	static uint8_t message[1 << 17];
	struct arena arena = { 0 };
	struct field field;
	uint32_t pid = 0, count = 0;
	const char *path;
	size_t length = 0;
	int more, rc = 0;

	while (!rc && (more = next_field(&payload, &field)) == 1) {
		if (field.tag == TAG_PID && field_u32(&field, &pid))
			continue;
		if (field.tag == TAG_SOURCE && !length) {
			char *tag = field_string(&arena, &field, MAX_PATH);

			rc = tag ? share_path(tag, &path, f) : fail(f, ERR_INVALID, 0, "RAISE: a malformed tag");
			if (!rc) {
				length = strlen(path) + 1;
				memcpy(message, path, length);
			}
		} else if (field.tag == TAG_CHANGE && length && count++ < MAX_CHANGES) {
			rc = add_change(message, &length, sizeof message, &field, f);
		} else if (field.tag < TAG_OPTIONAL) {
			rc = fail(f, ERR_INVALID, 0, "RAISE: field 0x%04x is unknown or malformed", field.tag);
		}
	}
	arena_free(&arena);
	if (!rc && (more < 0 || !length))
		rc = fail(f, ERR_INVALID, 0, "RAISE: malformed");
	if (!rc && busy)
		rc = fail(f, ERR_LIMIT, 0, "RAISE: one at a time");
	if (rc || (rc = raiser_start(f)))
		return rc;
	/* Another one than the device knows does nothing. */
	if (count == 0 || pid != (uint32_t)raiser_pid) {
		put_u32(w, TAG_PID, (uint32_t)raiser_pid);
		return 1;
	}
	if (send(raiser.fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length)
		return fail(f, ERR_SYSTEM, errno, "RAISE: %s", strerror(errno));
	busy = true;
	asked = request;
	return 0;
}
