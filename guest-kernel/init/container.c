/* The host's requests about containers. */
#define _GNU_SOURCE
#include "container.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "connection.h"
#include "device.h"
#include "device_rules.h"
#include "kept.h"
#include "notify.h"
#include "ports.h"
#include "process.h"
#include "protocol.h"
#include "sys.h"

static struct container *containers;
void (*on_container_gone)(void);

static struct container *find_container(uint32_t id)
{
	for (struct container *c = containers; c; c = c->next)
		if (c->id == id)
			return c;
	return NULL;
}

static struct process *find_process(uint32_t id)
{
	for (struct process *p = processes; p; p = p->next)
		if (p->id == id)
			return p;
	return NULL;
}

static int check_process_number(uint32_t id, struct failure *f)
{
	uint32_t count = 0;

	for (struct process *p = processes; p; p = p->next) {
		if (p->id == id)
			return fail(f, ERR_EXISTS, 0, "process %u exists already", id);
		count++;
	}
	return count < MAX_PROCESSES ? 0 : fail(f, ERR_LIMIT, 0, "more than %d processes", MAX_PROCESSES);
}

static void container_free(struct container *c)
{
	for (struct container **link = &containers; *link; link = &(*link)->next) {
		if (*link == c) {
			*link = c->next;
			break;
		}
	}
	if (c->leader >= 0)
		close(c->leader);
	if (c->devpts >= 0)
		close(c->devpts);
	if (c->space >= 0)
		close(c->space);
	watch_close(&c->notify);
	if (c->cgroup >= 0) {
		close(c->cgroup);
		cgroup_remove(c->id);
	}
	kept_remove(c->id);
	free_later(c);
}

static void process_gone(struct process *p)
{
	struct container *c = p->container;

	if (p->adding) {
		source_settle(p->adding, p->started && p->wait_status == 0);
		if (!p->answered)
			connection_reply_error(p->request_type, p->request, &p->failure);
	}
	c->process_count--;
	if (c->main == p) {
		c->main = NULL;
		mark(MARK_ENDED);
	}
	if (c->process_count == 0) {
		container_free(c);
		if (on_container_gone)
			on_container_gone();
	}
}

/* A devpts of the container's own, not attached anywhere: its terminals are opened from here. */
static int make_devpts(struct container *c, struct failure *f)
{
	int fs = sys_fsopen("devpts", FSOPEN_CLOEXEC);

	if (fs < 0 || sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", "devpts", 0) ||
	    sys_fsconfig(fs, FSCONFIG_SET_FLAG, "newinstance", NULL, 0) ||
	    sys_fsconfig(fs, FSCONFIG_SET_STRING, "ptmxmode", "0666", 0) ||
	    sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0620", 0) ||
	    sys_fsconfig(fs, FSCONFIG_SET_STRING, "gid", "5", 0) ||
	    sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fail(f, ERR_TTY, errno, "cannot make a devpts: %s", strerror(errno));
	else if ((c->devpts = sys_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)) < 0)
		fail(f, ERR_TTY, errno, "cannot mount a devpts: %s", strerror(errno));
	if (fs >= 0)
		close(fs);
	return c->devpts < 0 ? -1 : 0;
}

/* Made here and kept open, so that it can be asked how full it is when the container has ended. */
static int open_space(const struct container_spec *s, const struct launch *l, struct container *c, struct failure *f)
{
	char size[24];
	int fs;

	if (l->upper) {
		c->space = open(l->upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
	} else if ((fs = sys_fsopen("tmpfs", FSOPEN_CLOEXEC)) >= 0) {
		snprintf(size, sizeof size, "%llu", (unsigned long long)s->overlay_size);
		if (sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", "tmpfs", 0) == 0 &&
		    sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) == 0 &&
		    (!s->overlay_size || sys_fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) == 0) &&
		    sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
			c->space = sys_fsmount(fs, FSMOUNT_CLOEXEC, 0);
		close(fs);
	}
	return c->space < 0 ? fail(f, ERR_ROOT, errno, "root file system: cannot make room for changes: %s",
				   strerror(errno)) : 0;
}

/*
 * An export of a share is a submount with a superblock of its own, which the kernel makes when it is entered. It is entered
 * here, not by each container for itself: what two containers see of one export is one file system.
 */
static int enter_export(const struct mount_spec *m, struct failure *f)
{
	int fd = source_open(m, f);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/* Everything that the child will find mounted in its copy of init's mount namespace. */
static int mount_sources(const struct container_spec *s, struct launch *l, struct failure *f)
{
	const char *path;

	if (s->has_root) {
		if (source_path(&s->root, s->has_overlay || s->root.flags & 1 /* MS_RDONLY */, &path, f))
			return -1;
		if (s->root.kind == SOURCE_SHARE && enter_export(&s->root, f))
			return -1;
		l->lower = path;
	}
	if (s->has_overlay && s->overlay_kind != OVERLAY_TMPFS && scratch_path(s->overlay_source, &l->upper, f))
		return -1;
	for (uint32_t i = 0; i < s->mount_count; i++) {
		const struct mount_spec *m = &s->mounts[i];

		if (m->kind == SOURCE_NONE || m->kind == SOURCE_ROOT)
			continue;
		if (m->kind == SOURCE_SHARE ? enter_export(m, f) : source_path(m, m->flags & 1 /* MS_RDONLY */, &path, f))
			return -1;
	}
	return 0;
}

static int choose_namespaces(const struct container_spec *s, struct launch *l, uint64_t *flags, int *pid_namespace,
			     struct failure *f)
{
	*flags = CLONE_NEWNS;
	*pid_namespace = -1;
	for (int i = 0; i < NS_COUNT; i++) {
		const struct namespace_spec *n = &s->namespaces[i];
		struct container *other;

		l->joined[i] = -1;
		if (n->mode == NAMESPACE_NEW && i != NS_CGROUP)
			*flags |= namespace_flags[i];
		if (n->mode != NAMESPACE_JOIN)
			continue;
		other = find_container(n->container);
		if (!other || other->ended)
			return fail(f, ERR_NOT_FOUND, 0, "there is no container %u to join", n->container);
		l->joined[i] = other->leader;
		if (i == NS_PID)
			*pid_namespace = other->leader;
	}
	return 0;
}

static struct process *new_process(const struct process_spec *s, struct container *c, uint32_t request, uint16_t type)
{
	struct process *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->id = s->process;
	p->request = request;
	p->request_type = type;
	p->container = c;
	p->gone = process_gone;
	p->tty = s->stdio & STDIO_TTY;
	return p;
}

/* sd_notify(3): whoever in the container can send there may say it, once. */
static void notified(struct watch *w, uint32_t events)
{
	struct container *c = container_of(w, struct container, notify);
	uint8_t bytes[16];
	struct writer report = { bytes, 0, sizeof bytes, false };

	(void)events;
	/* What comes later is taken too: a client waits until its last datagram was (sd_notify_barrier(3)). */
	if (!notify_says_ready(w->fd) || c->ready)
		return;
	c->ready = true;
	put_u32(&report, TAG_CONTAINER, c->id);
	connection_event(MSG_READY, &report);
}

static int launch_container(uint32_t request, const struct container_spec *s, struct launch *l, struct failure *f)
{
	struct container *c = calloc(1, sizeof *c);
	struct process *p;
	uint64_t flags;
	int pid_namespace;

	if (!c)
		return fail(f, ERR_SYSTEM, ENOMEM, "no memory for a container");
	c->id = s->process.container;
	c->leader = c->cgroup = c->devpts = c->space = c->notify.fd = -1;
	c->notify.ready = notified;
	c->stop_signal = s->stop_signal;
	c->owns_pids = s->namespaces[NS_PID].mode == NAMESPACE_NEW;
	c->next = containers;
	containers = c;
	if (choose_namespaces(s, l, &flags, &pid_namespace, f) ||
	    cgroup_create(c->id, &s->cgroup, &c->cgroup, f) || restrict_devices(c->cgroup, s, f) ||
	    (!s->sandbox && make_devpts(c, f)) || (s->has_overlay && open_space(s, l, c, f)) ||
	    (s->notify && notify_open(&c->notify, f))) {
		container_free(c);
		return -1;
	}
	c->oom_kills = oom_kills(c->cgroup);
	l->devpts = c->devpts;
	l->space = c->space;
	l->notify = c->notify.fd;
	p = new_process(&s->process, c, request, MSG_START);
	if (!p || process_launch(p, l, flags, pid_namespace, f)) {
		if (!p)
			fail(f, ERR_SYSTEM, ENOMEM, "no memory for a process");
		container_free(c);
		return -1;
	}
	c->main = p;
	c->process_count = 1;
	if (c->notify.fd >= 0)
		watch_set(&c->notify, EPOLLIN);
	c->leader = fcntl(p->pidfd, F_DUPFD_CLOEXEC, 3);
	return 0;
}

int container_start(uint32_t request, struct reader payload, struct failure *f)
{
	static struct container_spec s;
	struct launch l = { .devpts = -1, .space = -1, .notify = -1, .leader = -1, .container = &s, .process = &s.process };
	struct arena arena = { 0 };
	uint32_t count = 0;
	int rc = -1;

	for (struct container *c = containers; c; c = c->next)
		count++;
	if (count >= MAX_CONTAINERS)
		return fail(f, ERR_LIMIT, 0, "more than %d containers", MAX_CONTAINERS);
	if (parse_start(&arena, payload, &s, f) == 0) {
		if (find_container(s.process.container))
			fail(f, ERR_EXISTS, 0, "container %u exists already", s.process.container);
		else if (check_process_number(s.process.process, f) == 0 && mount_sources(&s, &l, f) == 0)
			rc = launch_container(request, &s, &l, f);
	}
	arena_free(&arena);
	return rc;
}

int container_exec(uint32_t request, struct reader payload, struct failure *f)
{
	static struct process_spec s;
	struct launch l = { .devpts = -1, .space = -1, .notify = -1, .process = &s };
	struct arena arena = { 0 };
	struct source *adding = NULL;
	struct container *c;
	struct process *p;
	int rc = -1;

	if (parse_exec(&arena, payload, &s, f) == 0 && check_process_number(s.process, f) == 0) {
		c = find_container(s.container);
		if (!c || c->ended || !c->main || !c->main->started || c->main->hold >= 0) {
			fail(f, ERR_NOT_FOUND, 0, "container %u does not run", s.container);
		} else if (s.action != ACTION_ADD || source_begin(s.mount, &adding, f) == 0) {
			l.leader = c->leader;
			p = new_process(&s, c, request, MSG_EXEC);
			if (!p) {
				fail(f, ERR_SYSTEM, ENOMEM, "no memory for a process");
			} else {
				p->change = s.mount != NULL;
				p->adding = adding;
				rc = process_launch(p, &l, 0, p->change ? -1 : c->leader, f);
			}
			if (rc == 0)
				c->process_count++;
			else if (adding)
				source_settle(adding, false);
		}
	}
	arena_free(&arena);
	return rc;
}

/* The scalar fields that the small requests have in common. */
struct target {
	uint32_t container, process, signal, scope;
	bool has_winsize;
	uint16_t winsize[4];
};

static int parse_target(struct reader r, struct target *t, struct failure *f)
{
	struct field field;
	int more;

	memset(t, 0, sizeof *t);
	while ((more = next_field(&r, &field)) == 1) {
		bool ok = true;

		switch (field.tag) {
		case TAG_CONTAINER:
			ok = field_u32(&field, &t->container);
			break;
		case TAG_PROCESS:
			ok = field_u32(&field, &t->process);
			break;
		case TAG_SIGNAL:
			ok = field_u32(&field, &t->signal);
			break;
		case TAG_SCOPE:
			ok = field_u32(&field, &t->scope) && t->scope <= SCOPE_GROUP;
			break;
		case TAG_WINSIZE:
			ok = t->has_winsize = field.length == 8;
			for (int i = 0; ok && i < 4; i++)
				t->winsize[i] = get_u16(field.value + 2 * i);
			break;
		case TAG_CGROUP: /* container_update reads these */
			break;
		default:
			if (field.tag < TAG_OPTIONAL)
				return fail(f, ERR_UNSUPPORTED, 0, "field 0x%04x is not known in this place", field.tag);
		}
		if (!ok)
			return fail(f, ERR_INVALID, 0, "field 0x%04x has a wrong size or value", field.tag);
	}
	return more < 0 ? fail(f, ERR_INVALID, 0, "the request's fields are malformed") : 0;
}

static struct container *target_container(const struct target *t, struct failure *f)
{
	struct container *c = find_container(t->container);

	if (!c || c->ended) {
		fail(f, ERR_NOT_FOUND, 0, "container %u does not run", t->container);
		return NULL;
	}
	return c;
}

static struct process *target_process(const struct target *t, struct failure *f)
{
	struct process *p = find_process(t->process);

	if (!p || p->reaped) {
		fail(f, ERR_NOT_FOUND, 0, "process %u does not run", t->process);
		return NULL;
	}
	return p;
}

int container_release(uint32_t request, struct reader payload, struct failure *f)
{
	struct container *c;
	struct target t;

	if (parse_target(payload, &t, f) || !(c = target_container(&t, f)))
		return -1;
	if (!c->main)
		return fail(f, ERR_NOT_FOUND, 0, "container %u does not run", t.container);
	return process_release(c->main, request, MSG_RELEASE, f);
}

int container_signal(struct reader payload, struct failure *f)
{
	struct target t;

	if (parse_target(payload, &t, f))
		return -1;
	if (t.signal > 64)
		return fail(f, ERR_INVALID, 0, "%u is not a signal", t.signal);
	if (t.scope == SCOPE_CONTAINER) {
		struct container *c = target_container(&t, f);

		if (!c)
			return -1;
		if (c->cgroup >= 0)
			cgroup_signal(c->cgroup, (int)t.signal);
		else if (kill(c->main->pid, (int)t.signal))
			return fail(f, ERR_SYSTEM, errno, "kill: %s", strerror(errno));
	} else {
		struct process *p = target_process(&t, f);

		if (!p)
			return -1;
		/* Each leads a session of its own, and so a group: what it has started is in it, unless it has left. */
		if (kill(t.scope == SCOPE_GROUP ? -p->pid : p->pid, (int)t.signal))
			return fail(f, ERR_SYSTEM, errno, "kill: %s", strerror(errno));
	}
	return 0;
}

int container_resize(struct reader payload, struct failure *f)
{
	struct winsize size;
	struct process *p;
	struct target t;

	if (parse_target(payload, &t, f))
		return -1;
	p = target_process(&t, f);
	if (!p)
		return -1;
	if (!t.has_winsize || !p->tty)
		return fail(f, ERR_INVALID, 0, "process %u has no terminal, or no size was given", t.process);
	size = (struct winsize){ t.winsize[0], t.winsize[1], t.winsize[2], t.winsize[3] };
	if (ioctl(p->slave, TIOCSWINSZ, &size))
		return fail(f, ERR_TTY, errno, "TIOCSWINSZ: %s", strerror(errno));
	return 0;
}

int container_freeze(struct reader payload, bool freeze, struct failure *f)
{
	struct container *c;
	struct target t;

	if (parse_target(payload, &t, f) || !(c = target_container(&t, f)))
		return -1;
	if (c->cgroup < 0 || cgroup_write(c->cgroup, "cgroup.freeze", freeze ? "1" : "0"))
		return fail(f, ERR_CGROUP, errno, "cgroup.freeze: %s", c->cgroup < 0 ? "no cgroup" : strerror(errno));
	return 0;
}

int container_update(struct reader payload, struct failure *f)
{
	struct arena arena = { 0 };
	struct container *c;
	struct field field;
	struct target t;
	int rc = 0;

	if (parse_target(payload, &t, f) || !(c = target_container(&t, f)))
		return -1;
	if (c->cgroup < 0)
		return fail(f, ERR_CGROUP, 0, "the container has no cgroup");
	while (!rc && next_field(&payload, &field) == 1) {
		char *items[2] = { NULL, NULL };
		struct strings one = { items, 1 };

		if (field.tag != TAG_CGROUP)
			continue;
		items[0] = field_string(&arena, &field, MAX_PATH);
		rc = items[0] ? cgroup_apply(c->cgroup, &one, f) : fail(f, ERR_INVALID, 0, "a cgroup setting is not a string");
	}
	arena_free(&arena);
	return rc;
}

int container_stats(struct reader payload, struct writer *w, struct failure *f)
{
	static const char *const of_container[] = { "cpu.stat", "memory.current", "memory.peak", "memory.events",
						    "pids.current", "io.stat", NULL };
	static const char *const of_machine[] = { "/proc/meminfo", "/proc/loadavg", "/proc/stat", "/proc/net/dev", NULL };
	static char text[16384];
	const char *const *file = of_machine;
	int directory = AT_FDCWD;
	struct target t;

	if (parse_target(payload, &t, f))
		return -1;
	if (t.container) {
		struct container *c = target_container(&t, f);

		if (!c)
			return -1;
		if (c->cgroup < 0)
			return fail(f, ERR_CGROUP, 0, "the container has no cgroup");
		directory = c->cgroup;
		file = of_container;
	}
	for (; *file; file++) {
		int n = snprintf(text, sizeof text, "%s\n", *file);

		/* A controller that is not switched on has no file. */
		if (cgroup_read(directory, *file, text + n, sizeof text - (uint32_t)n))
			put_string(w, TAG_STAT, text);
	}
	return 0;
}

static void container_main_ended(struct container *c)
{
	c->ended = true;
	for (struct process *p = processes; p; p = p->next)
		if (p->container == c && p->change && !p->reaped)
			kill(p->pid, SIGKILL);
	/* Its own PID namespace is dead with its first process; in a shared one the rest is killed here. */
	if (!c->owns_pids && c->cgroup >= 0)
		cgroup_signal(c->cgroup, SIGKILL);
}

void reap(void)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		for (struct process *p = processes; p; p = p->next) {
			if (p->pid != pid || p->reaped)
				continue;
			if (p == p->container->main)
				container_main_ended(p->container);
			process_ended(p, status, &usage);
			break;
		}
	}
}

void containers_stop(bool force)
{
	for (struct container *c = containers; c; c = c->next) {
		if (c->cgroup >= 0)
			cgroup_write(c->cgroup, "cgroup.freeze", "0");
		if (force && c->cgroup >= 0)
			cgroup_signal(c->cgroup, SIGKILL);
		if (c->main && !c->main->reaped)
			kill(c->main->pid, force || c->main->hold >= 0 ? SIGKILL : (int)c->stop_signal);
	}
}

bool containers_gone(void)
{
	return containers == NULL;
}
