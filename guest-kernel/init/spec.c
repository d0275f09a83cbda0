#define _GNU_SOURCE
#include "spec.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "fields.h"
#include "protocol.h"

#define MAX_FILE (1024 * 1024)

const uint32_t namespace_flags[NS_COUNT] = {
	[NS_PID] = CLONE_NEWPID, [NS_UTS] = CLONE_NEWUTS,       [NS_IPC] = CLONE_NEWIPC,
	[NS_CGROUP] = CLONE_NEWCGROUP, [NS_NET] = CLONE_NEWNET,
};

int parse_mount(struct arena *a, struct reader r, struct mount_spec *m, struct failure *f)
{
	struct field field;
	int more;

	while ((more = next_field(&r, &field)) == 1) {
		int rc;

		switch (field.tag) {
		case TAG_KIND:
			rc = take_u32(&field, &m->kind, f);
			break;
		case TAG_SOURCE:
			rc = take_string(a, &field, MAX_PATH, &m->source, f);
			break;
		case TAG_FSTYPE:
			rc = take_string(a, &field, 64, &m->fstype, f);
			break;
		case TAG_TARGET:
			rc = take_string(a, &field, MAX_PATH, &m->target, f);
			break;
		case TAG_DATA:
			rc = take_string(a, &field, 4095, &m->data, f);
			break;
		case TAG_SUBPATH:
			rc = take_string(a, &field, MAX_PATH, &m->subpath, f);
			break;
		case TAG_FLAGS:
			rc = take_u64(&field, &m->flags, f);
			break;
		case TAG_MODE:
			m->has_mode = true;
			rc = take_u32(&field, &m->mode, f);
			break;
		default:
			rc = unknown(f, &field);
		}
		if (rc)
			return -1;
	}
	if (more < 0)
		return fail(f, ERR_INVALID, 0, "a mount's fields are malformed");
	if (m->kind > SOURCE_ROOT)
		return fail(f, ERR_UNSUPPORTED, 0, "mount source kind %u", m->kind);
	if (m->kind != SOURCE_NONE && (!m->source || !*m->source))
		return fail(f, ERR_INVALID, 0, "a mount of kind %u has no source", m->kind);
	if (m->kind <= SOURCE_SHARE && (!m->fstype || !*m->fstype))
		return fail(f, ERR_INVALID, 0, "a mount of kind %u has no file system type", m->kind);
	return 0;
}

static int parse_overlay(struct arena *a, struct reader r, struct container_spec *s, struct failure *f)
{
	struct field field;
	int more;

	s->has_overlay = true;
	while ((more = next_field(&r, &field)) == 1) {
		int rc;

		switch (field.tag) {
		case TAG_KIND:
			rc = take_u32(&field, &s->overlay_kind, f);
			break;
		case TAG_SOURCE:
			rc = take_string(a, &field, MAX_PATH, &s->overlay_source, f);
			break;
		case TAG_SIZE:
			rc = take_u64(&field, &s->overlay_size, f);
			break;
		default:
			rc = unknown(f, &field);
		}
		if (rc)
			return -1;
	}
	if (more < 0)
		return fail(f, ERR_INVALID, 0, "the overlay's fields are malformed");
	if (s->overlay_kind > OVERLAY_KEPT)
		return fail(f, ERR_UNSUPPORTED, 0, "overlay kind %u", s->overlay_kind);
	if (s->overlay_kind != OVERLAY_TMPFS && !s->overlay_source)
		return fail(f, ERR_INVALID, 0, "the overlay names no block device");
	return 0;
}

static int take_owner(const struct field *field, uint32_t *uid, uint32_t *gid, struct failure *f)
{
	if (field->length != 8)
		return invalid(f, field, "must have 8 bytes");
	*uid = get_u32(field->value);
	*gid = get_u32(field->value + 4);
	return 0;
}

int parse_file(struct arena *a, struct reader r, struct file_spec *file, struct failure *f)
{
	struct field field;
	uint64_t flags = 0;
	int more;

	file->mode = 0644;
	while ((more = next_field(&r, &field)) == 1) {
		int rc;

		switch (field.tag) {
		case TAG_TARGET:
			rc = take_string(a, &field, MAX_PATH, &file->target, f);
			break;
		case TAG_MODE:
			rc = take_u32(&field, &file->mode, f);
			break;
		case TAG_OWNER:
			rc = take_owner(&field, &file->uid, &file->gid, f);
			break;
		case TAG_FLAGS:
			rc = take_u64(&field, &flags, f);
			break;
		case TAG_CONTENT:
			file->content = field.value;
			file->size = field.length;
			rc = field.length <= MAX_FILE ? 0 : invalid(f, &field, "longer than 1 MiB");
			break;
		default:
			rc = unknown(f, &field);
		}
		if (rc)
			return -1;
	}
	if (more < 0 || !file->target || file->target[0] != '/')
		return fail(f, ERR_INVALID, 0, "a file's fields are malformed or its target is not absolute");
	file->flags = (uint32_t)flags;
	return 0;
}

static int parse_device(struct arena *a, struct reader r, struct device_spec *d, struct failure *f)
{
	struct field field;
	int more;

	d->mode = 0666;
	while ((more = next_field(&r, &field)) == 1) {
		int rc = 0;

		switch (field.tag) {
		case TAG_TARGET:
			rc = take_string(a, &field, MAX_PATH, &d->target, f);
			break;
		case TAG_NODE:
			if (field.length != 12)
				return invalid(f, &field, "must have 12 bytes");
			d->type = get_u32(field.value);
			d->major = get_u32(field.value + 4);
			d->minor = get_u32(field.value + 8);
			break;
		case TAG_MODE:
			rc = take_u32(&field, &d->mode, f);
			break;
		case TAG_OWNER:
			rc = take_owner(&field, &d->uid, &d->gid, f);
			break;
		default:
			rc = unknown(f, &field);
		}
		if (rc)
			return -1;
	}
	if (more < 0 || !d->target || d->target[0] != '/' ||
	    (d->type != 'c' && d->type != 'b' && d->type != 'p'))
		return fail(f, ERR_INVALID, 0, "a device's fields are malformed");
	return 0;
}

static int take_namespace(const struct field *field, struct container_spec *s, struct failure *f)
{
	uint32_t which, mode;

	if (field->length != 12)
		return invalid(f, field, "must have 12 bytes");
	which = get_u32(field->value);
	mode = get_u32(field->value + 4);
	for (int i = 0; i < NS_COUNT; i++) {
		if (namespace_flags[i] != which)
			continue;
		if (mode > NAMESPACE_JOIN)
			return invalid(f, field, "unknown mode");
		s->namespaces[i].mode = mode;
		s->namespaces[i].container = get_u32(field->value + 8);
		return 0;
	}
	return invalid(f, field, "unknown namespace");
}

static int take_device_rule(const struct field *field, struct container_spec *s, struct failure *f)
{
	struct device_rule *rule;

	if (field->length != 16)
		return invalid(f, field, "must have 16 bytes");
	if (s->device_rule_count == MAX_DEVICE_RULES)
		return fail(f, ERR_LIMIT, 0, "more than %d device rules", MAX_DEVICE_RULES);
	rule = &s->device_rules[s->device_rule_count++];
	rule->type = get_u32(field->value);
	rule->major = get_u32(field->value + 4);
	rule->minor = get_u32(field->value + 8);
	rule->access = get_u32(field->value + 12);
	if ((rule->type != 'a' && rule->type != 'b' && rule->type != 'c') || !rule->access || rule->access & ~(uint32_t)DEVICE_ALL)
		return invalid(f, field, "unknown type or access");
	return 0;
}

static int take_rlimit(const struct field *field, struct process_spec *s, struct failure *f)
{
	struct rlimit_spec *limit;

	if (field->length != 24)
		return invalid(f, field, "must have 24 bytes");
	if (s->rlimit_count == MAX_RLIMITS)
		return fail(f, ERR_LIMIT, 0, "more than %d resource limits", MAX_RLIMITS);
	limit = &s->rlimits[s->rlimit_count++];
	limit->resource = get_u32(field->value);
	limit->soft = get_u64(field->value + 8);
	limit->hard = get_u64(field->value + 16);
	return 0;
}

static int take_winsize(const struct field *field, struct process_spec *s, struct failure *f)
{
	if (field->length != 8)
		return invalid(f, field, "must have 8 bytes");
	for (int i = 0; i < 4; i++)
		s->winsize[i] = get_u16(field->value + 2 * i);
	s->has_winsize = true;
	return 0;
}

static int take_caps(const struct field *field, struct process_spec *s, struct failure *f)
{
	if (field->length != 40)
		return invalid(f, field, "must have 40 bytes");
	for (int i = 0; i < 5; i++)
		s->caps[i] = get_u64(field->value + 8 * i);
	s->has_caps = true;
	return 0;
}

static int take_seccomp(const struct field *field, struct process_spec *s, struct failure *f)
{
	if (field->length < 12 || (field->length - 4) % 8 || (field->length - 4) / 8 > MAX_SECCOMP)
		return invalid(f, field, "must be flags and 1 to 4096 instructions");
	s->seccomp_flags = get_u32(field->value);
	s->seccomp = field->value + 4;
	s->seccomp_count = (field->length - 4) / 8;
	return 0;
}

static int take_oom_score_adj(const struct field *field, struct process_spec *s, struct failure *f)
{
	if (take_u32(field, (uint32_t *)&s->oom_score_adj, f))
		return -1;
	return s->oom_score_adj < -1000 || s->oom_score_adj > 1000 ? invalid(f, field, "must be from -1000 to 1000") : 0;
}

/* Fields of a process. 1: taken, 0: not one of them, -1: failed. */
static int process_field(struct arena *a, struct reader all, const struct field *field,
			 struct process_spec *s, struct failure *f)
{
	int rc = 0;

	switch (field->tag) {
	case TAG_CONTAINER:
		rc = take_u32(field, &s->container, f);
		break;
	case TAG_PROCESS:
		rc = take_u32(field, &s->process, f);
		break;
	case TAG_ARG:
		rc = take_item(a, all, field, MAX_STRING - 1, &s->args, f);
		break;
	case TAG_ENV:
		rc = take_item(a, all, field, MAX_STRING - 1, &s->env, f);
		break;
	case TAG_GROUP_ADD:
		rc = take_item(a, all, field, 256, &s->groups, f);
		break;
	case TAG_CWD:
		rc = take_string(a, field, MAX_PATH - 1, &s->cwd, f);
		break;
	case TAG_USER:
		rc = take_string(a, field, 512, &s->user, f);
		break;
	case TAG_STDIO:
		rc = take_u32(field, &s->stdio, f);
		break;
	case TAG_WINSIZE:
		rc = take_winsize(field, s, f);
		break;
	case TAG_CAPS:
		rc = take_caps(field, s, f);
		break;
	case TAG_NO_NEW_PRIVS:
		rc = take_flag(field, &s->no_new_privs, f);
		break;
	case TAG_RLIMIT:
		rc = take_rlimit(field, s, f);
		break;
	case TAG_SECCOMP:
		rc = take_seccomp(field, s, f);
		break;
	case TAG_OOM_SCORE_ADJ:
		rc = take_oom_score_adj(field, s, f);
		break;
	case TAG_UMASK:
		rc = take_u32(field, &s->umask, f);
		break;
	case TAG_BUILTIN:
		rc = take_flag(field, &s->builtin, f);
		break;
	case TAG_CWD_THERE:
		rc = take_flag(field, &s->cwd_there, f);
		break;
	default:
		return 0;
	}
	return rc ? -1 : 1;
}

static int check_process(const struct process_spec *s, struct failure *f)
{
	if (s->container == 0 || s->process == 0)
		return fail(f, ERR_INVALID, 0, "container and process must have numbers above 0");
	if (s->args.count == 0 || !*s->args.items[0])
		return fail(f, ERR_INVALID, 0, "no command given");
	if (s->cwd && s->cwd[0] != '/')
		return fail(f, ERR_CWD, 0, "the working directory '%.120s' is not an absolute path", s->cwd);
	if (s->stdio & ~(uint32_t)(STDIO_STDIN | STDIO_STDOUT | STDIO_STDERR | STDIO_TTY))
		return fail(f, ERR_UNSUPPORTED, 0, "stdio bits 0x%x", s->stdio);
	return 0;
}

/* Fields of a container that are not lists. 1: taken, 0: not one of them, -1: failed. */
static int container_field(struct arena *a, const struct field *field, struct container_spec *s,
			   struct failure *f)
{
	int rc;

	switch (field->tag) {
	case TAG_ROOT:
		s->has_root = true;
		rc = parse_mount(a, field_reader(field), &s->root, f);
		break;
	case TAG_OVERLAY:
		rc = parse_overlay(a, field_reader(field), s, f);
		break;
	case TAG_READ_ONLY:
		rc = take_flag(field, &s->read_only, f);
		break;
	case TAG_HOSTNAME:
		rc = take_string(a, field, 64, &s->hostname, f);
		break;
	case TAG_DOMAIN:
		rc = take_string(a, field, 64, &s->domain, f);
		break;
	case TAG_NAMESPACE:
		rc = take_namespace(field, s, f);
		break;
	case TAG_REAPER:
		rc = take_flag(field, &s->reaper, f);
		break;
	case TAG_HOLD:
		rc = take_flag(field, &s->hold, f);
		break;
	case TAG_SANDBOX:
		rc = take_flag(field, &s->sandbox, f);
		break;
	case TAG_DEVICE_RULE:
		rc = take_device_rule(field, s, f);
		break;
	case TAG_ALL_DEVICES:
		rc = take_flag(field, &s->all_devices, f);
		break;
	case TAG_ACTIVATED:
		if (field->length != 2 || !get_u16(field->value))
			return invalid(f, field, "not a port");
		if (s->activated_count == MAX_ACTIVATED)
			return fail(f, ERR_LIMIT, 0, "more than %d sockets", MAX_ACTIVATED);
		s->activated[s->activated_count++] = get_u16(field->value);
		rc = 0;
		break;
	case TAG_NOTIFY:
		rc = take_flag(field, &s->notify, f);
		break;
	case TAG_MASKED_CLOSED:
		rc = take_flag(field, &s->masked_closed, f);
		break;
	case TAG_STOP_SIGNAL:
		rc = take_u32(field, &s->stop_signal, f);
		if (!rc && (s->stop_signal == 0 || s->stop_signal > 64))
			return invalid(f, field, "not a signal");
		break;
	default:
		return 0;
	}
	return rc ? -1 : 1;
}

/* The lists of a container, and the answer to fields that nobody knows. */
static int container_list(struct arena *a, struct reader all, const struct field *field,
			  struct container_spec *s, struct failure *f)
{
	void *element;

	switch (field->tag) {
	case TAG_MOUNT:
		element = take_element(a, all, field, (void **)&s->mounts, &s->mount_count,
				       sizeof *s->mounts, f);
		if (!element || parse_mount(a, field_reader(field), element, f))
			return -1;
		if (!((struct mount_spec *)element)->target || *((struct mount_spec *)element)->target != '/')
			return fail(f, ERR_INVALID, 0, "a mount's target is not an absolute path");
		return 0;
	case TAG_FILE:
		element = take_element(a, all, field, (void **)&s->files, &s->file_count,
				       sizeof *s->files, f);
		return element ? parse_file(a, field_reader(field), element, f) : -1;
	case TAG_DEVICE:
		element = take_element(a, all, field, (void **)&s->devices, &s->device_count,
				       sizeof *s->devices, f);
		return element ? parse_device(a, field_reader(field), element, f) : -1;
	case TAG_MASKED_PATH:
		return take_item(a, all, field, MAX_PATH - 1, &s->masked, f);
	case TAG_READONLY_PATH:
		return take_item(a, all, field, MAX_PATH - 1, &s->readonly, f);
	case TAG_SYSCTL:
		return take_item(a, all, field, MAX_PATH - 1, &s->sysctls, f);
	case TAG_CGROUP:
		return take_item(a, all, field, MAX_PATH - 1, &s->cgroup, f);
	default:
		return unknown(f, field);
	}
}

int parse_start(struct arena *a, struct reader r, struct container_spec *s, struct failure *f)
{
	const struct reader all = r;
	struct field field;
	int more;

	memset(s, 0, sizeof *s);
	s->process.umask = 022;
	s->stop_signal = SIGTERM;
	s->namespaces[NS_NET].mode = NAMESPACE_VM;
	while ((more = next_field(&r, &field)) == 1) {
		int taken = process_field(a, all, &field, &s->process, f);

		if (taken == 0)
			taken = container_field(a, &field, s, f);
		if (taken == 0)
			taken = container_list(a, all, &field, s, f);
		if (taken < 0)
			return -1;
	}
	if (more < 0)
		return fail(f, ERR_INVALID, 0, "the request's fields are malformed");
	if (s->sandbox) {
		if (s->process.container == 0 || s->process.process == 0)
			return fail(f, ERR_INVALID, 0, "container and process must have numbers above 0");
		return 0;
	}
	if (!s->has_root)
		return fail(f, ERR_INVALID, 0, "no root file system given");
	return check_process(&s->process, f);
}

/* What EXEC has beside a process. 1: taken, 0: not one of them, -1: failed. */
static int mount_field(struct arena *a, const struct field *field, struct process_spec *s, struct failure *f)
{
	if (field->tag == TAG_ACTION)
		return take_u32(field, &s->action, f) ? -1 : 1;
	if (field->tag != TAG_MOUNT)
		return 0;
	if (s->mount)
		return fail(f, ERR_INVALID, 0, "more than one mount");
	s->mount = arena_alloc(a, sizeof *s->mount);
	if (!s->mount)
		return fail(f, ERR_SYSTEM, ENOMEM, "no memory for a mount");
	if (parse_mount(a, field_reader(field), s->mount, f))
		return -1;
	if (!s->mount->target || s->mount->target[0] != '/')
		return fail(f, ERR_INVALID, 0, "a mount's target is not an absolute path");
	if (s->mount->kind != SOURCE_SHARE && s->mount->kind != SOURCE_BLOCK)
		return fail(f, ERR_UNSUPPORTED, 0, "mount source kind %u of a running container", s->mount->kind);
	return 1;
}

int parse_exec(struct arena *a, struct reader r, struct process_spec *s, struct failure *f)
{
	const struct reader all = r;
	struct field field;
	int more;

	memset(s, 0, sizeof *s);
	s->umask = 022;
	while ((more = next_field(&r, &field)) == 1) {
		int taken = process_field(a, all, &field, s, f);

		if (taken == 0)
			taken = mount_field(a, &field, s, f);
		if (taken < 0 || (taken == 0 && unknown(f, &field)))
			return -1;
	}
	if (more < 0)
		return fail(f, ERR_INVALID, 0, "the request's fields are malformed");
	if (s->mount ? s->action < ACTION_ADD || s->action > ACTION_DETACH : s->action != 0)
		return fail(f, ERR_INVALID, 0, "a mount of a running container without an action, or one without the other");
	return check_process(s, f);
}
