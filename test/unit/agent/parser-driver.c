/*
 * Feeds payloads to init's own parser (spec.c, wire.c) and prints what it understood, one line each:
 * input is u8 kind (0 START, 1 EXEC), u32 length, bytes, until the end. Built by parser.test.ts with
 * the address and undefined-behaviour sanitizers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol.h"
#include "spec.h"

static void hex(const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		printf("%02x", ((const uint8_t *)bytes)[i]);
}

static void text(const char *name, const char *value)
{
	printf(" %s=", name);
	if (value)
		hex(value, strlen(value));
	else
		printf("-");
}

static void list(const char *name, const struct strings *s)
{
	printf(" %s=[", name);
	for (uint32_t i = 0; i < s->count; i++) {
		hex(s->items[i], strlen(s->items[i]));
		printf(",");
	}
	printf("]");
	if (s->items && s->items[s->count])
		abort();
}

static void process(const struct process_spec *p)
{
	printf("container=%u process=%u", p->container, p->process);
	list("args", &p->args);
	list("env", &p->env);
	list("groups", &p->groups);
	text("cwd", p->cwd);
	text("user", p->user);
	printf(" stdio=%u", p->stdio);
	if (p->has_winsize)
		printf(" size=%u,%u,%u,%u", p->winsize[0], p->winsize[1], p->winsize[2], p->winsize[3]);
	if (p->has_caps)
		printf(" caps=%" PRIx64 ",%" PRIx64 ",%" PRIx64 ",%" PRIx64 ",%" PRIx64, p->caps[0], p->caps[1], p->caps[2],
		       p->caps[3], p->caps[4]);
	printf(" nnp=%d", p->no_new_privs);
	for (uint32_t i = 0; i < p->rlimit_count; i++)
		printf(" rlimit=%u,%" PRIu64 ",%" PRIu64, p->rlimits[i].resource, p->rlimits[i].soft, p->rlimits[i].hard);
	if (p->seccomp) {
		printf(" seccomp=%u,", p->seccomp_flags);
		hex(p->seccomp, 8 * p->seccomp_count);
	}
	printf(" oom=%d umask=%o", p->oom_score_adj, p->umask);
}

static void mount_line(const char *name, const struct mount_spec *m)
{
	printf(" %s={kind=%u", name, m->kind);
	text("source", m->source);
	text("fstype", m->fstype);
	text("target", m->target);
	text("data", m->data);
	text("subpath", m->subpath);
	printf(" flags=%" PRIu64 " mode=%o}", m->flags, m->has_mode ? m->mode : 0);
}

static void container(const struct container_spec *s)
{
	process(&s->process);
	if (s->has_root)
		mount_line("root", &s->root);
	if (s->has_overlay) {
		printf(" overlay=%u,%" PRIu64, s->overlay_kind, s->overlay_size);
		text("upper", s->overlay_source);
	}
	printf(" ro=%d reaper=%d sandbox=%d stop=%u", s->read_only, s->reaper, s->sandbox, s->stop_signal);
	for (uint32_t i = 0; i < s->mount_count; i++)
		mount_line("mount", &s->mounts[i]);
	for (uint32_t i = 0; i < s->file_count; i++) {
		const struct file_spec *f = &s->files[i];

		text("file", f->target);
		printf(",%o,%u,%u,%u,", f->mode, f->uid, f->gid, f->flags);
		hex(f->content, f->size);
	}
	for (uint32_t i = 0; i < s->device_count; i++) {
		const struct device_spec *d = &s->devices[i];

		text("device", d->target);
		printf(",%c,%u,%u,%o", d->type, d->major, d->minor, d->mode);
	}
	text("hostname", s->hostname);
	text("domain", s->domain);
	list("masked", &s->masked);
	printf(" closed=%d", s->masked_closed);
	list("readonly", &s->readonly);
	list("sysctls", &s->sysctls);
	list("cgroup", &s->cgroup);
	for (int i = 0; i < NS_COUNT; i++)
		printf(" ns=%u,%u", s->namespaces[i].mode, s->namespaces[i].container);
}

int main(void)
{
	uint8_t head[5];

	while (fread(head, 1, sizeof head, stdin) == sizeof head) {
		uint32_t length = get_u32(head + 1);
		/* A block of exactly this size, so that the sanitizer sees each byte too many. */
		uint8_t *payload = malloc(length ? length : 1);
		static struct container_spec start;
		static struct process_spec exec;
		struct failure f = { 0 };
		struct arena arena = { 0 };
		int rc;

		if (!payload || fread(payload, 1, length, stdin) != length)
			return 2;
		rc = head[0] == 0 ? parse_start(&arena, reader_of(payload, length), &start, &f)
				  : parse_exec(&arena, reader_of(payload, length), &exec, &f);
		if (rc && f.code == 0)
			abort();
		if (rc)
			printf("error %u %s", f.code, f.text);
		else if (head[0] == 0)
			container(&start);
		else
			process(&exec);
		printf("\n");
		arena_free(&arena);
		free(payload);
	}
	return 0;
}
