#define _GNU_SOURCE
#include "users.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol.h"
#include "sys.h"

/* Longest line that is looked at: a group with thousands of members. Longer ones are skipped. */
#define LINE 65536
#define MAX_ID 0x7fffffffu

struct lines {
	int fd;
	bool skip;
	size_t start, end;
	char bytes[LINE + 1];
};

static bool lines_open(struct lines *l, int root, const char *path)
{
	struct stat st;

	l->start = l->end = 0;
	l->skip = false;
	l->fd = open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (l->fd < 0)
		return false;
	if (fstat(l->fd, &st) || !S_ISREG(st.st_mode)) {
		close(l->fd);
		return false;
	}
	return true;
}

static char *lines_next(struct lines *l)
{
	for (;;) {
		char *begin = l->bytes + l->start;
		char *newline = memchr(begin, '\n', l->end - l->start);
		bool skipped = l->skip;
		ssize_t n;

		if (newline) {
			*newline = 0;
			l->start = (size_t)(newline - l->bytes) + 1;
			l->skip = false;
			if (skipped)
				continue;
			return begin;
		}
		memmove(l->bytes, begin, l->end - l->start);
		l->end -= l->start;
		l->start = 0;
		if (l->end == LINE) {
			l->skip = true;
			l->end = 0;
		}
		n = read(l->fd, l->bytes + l->end, LINE - l->end);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (l->end == 0 || l->skip)
				return NULL;
			l->bytes[l->end] = 0; /* a last line without its newline */
			l->start = l->end = 0;
			return l->bytes;
		}
		l->end += (size_t)n;
	}
}

static bool parse_id(const char *text, uint32_t *id)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > MAX_ID)
			return false;
	}
	*id = (uint32_t)value;
	return true;
}

/* Splits at colons in place; the missing fields are empty. */
static void split(char *line, char **fields, int count)
{
	static char empty[1];

	for (int i = 0; i < count; i++) {
		char *colon = line ? strchr(line, ':') : NULL;

		fields[i] = line ? line : empty;
		if (colon)
			*colon = 0;
		line = colon ? colon + 1 : NULL;
	}
}

static bool is_member(char *members, const char *name)
{
	size_t length = strlen(name);

	while (members) {
		char *comma = strchr(members, ',');
		size_t n = comma ? (size_t)(comma - members) : strlen(members);

		if (n == length && !memcmp(members, name, n))
			return true;
		members = comma ? comma + 1 : NULL;
	}
	return false;
}

static int add_group(struct identity *id, uint32_t gid, struct failure *f)
{
	for (uint32_t i = 0; i < id->group_count; i++)
		if (id->groups[i] == gid)
			return 0;
	if (id->group_count == MAX_GROUPS)
		return fail(f, ERR_LIMIT, 0, "more than %d supplementary groups", MAX_GROUPS);
	id->groups[id->group_count++] = gid;
	return 0;
}

/* "/path": the owner of that file in the root (appc, "user" of an app). */
static int owner_of(int root, const char *path, struct stat *st, struct failure *f)
{
	int fd = open_in_root(root, path, O_PATH, 0);
	int rc = fd < 0 ? -1 : fstat(fd, st);

	if (rc)
		fail(f, ERR_USER, errno, "unable to find the owner of '%.120s': %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

static int find_user(int root, const char *user, struct identity *id, char *name, size_t name_size,
		     struct lines *lines, struct failure *f)
{
	struct stat st;
	uint32_t number = 0;
	bool numeric = parse_id(user, &number), found = false;

	if (*user == '/') {
		if (owner_of(root, user, &st, f))
			return -1;
		number = st.st_uid;
		numeric = true;
	}
	if (lines_open(lines, root, "etc/passwd")) {
		char *line, *v[7];
		uint32_t uid, gid;

		while (!found && (line = lines_next(lines))) {
			split(line, v, 7);
			if (!parse_id(v[2], &uid) || !parse_id(v[3], &gid))
				continue;
			if (numeric ? uid != number : strcmp(v[0], user) != 0)
				continue;
			id->uid = uid;
			id->gid = gid;
			snprintf(name, name_size, "%s", v[0]);
			snprintf(id->home, sizeof id->home, "%s", v[5]);
			found = true;
		}
		close(lines->fd);
	}
	if (found)
		return 0;
	if (!numeric)
		return fail(f, ERR_USER, 0, "unable to find user %.200s: no matching entries in passwd file", user);
	id->uid = number;
	return 0;
}

static int find_group(int root, const char *group, uint32_t *gid, struct lines *lines, struct failure *f)
{
	struct stat st;
	bool found = false;

	if (parse_id(group, gid))
		return 0;
	if (*group == '/') {
		if (owner_of(root, group, &st, f))
			return -1;
		*gid = st.st_gid;
		return 0;
	}
	if (lines_open(lines, root, "etc/group")) {
		char *line, *v[4];

		while (!found && (line = lines_next(lines))) {
			split(line, v, 4);
			found = !strcmp(v[0], group) && parse_id(v[2], gid);
		}
		close(lines->fd);
	}
	if (found)
		return 0;
	return fail(f, ERR_USER, 0, "unable to find group %.200s: no matching entries in group file", group);
}

static int groups_of_member(int root, const char *name, struct identity *id, struct lines *lines,
			    struct failure *f)
{
	char *line, *v[4];
	uint32_t gid;
	int rc = 0;

	if (!*name || !lines_open(lines, root, "etc/group"))
		return 0;
	while (!rc && (line = lines_next(lines))) {
		split(line, v, 4);
		if (parse_id(v[2], &gid) && is_member(v[3], name))
			rc = add_group(id, gid, f);
	}
	close(lines->fd);
	return rc;
}

int resolve_user(int root, const struct process_spec *spec, struct identity *id, struct failure *f)
{
	static struct lines lines;
	char user[513] = "", name[256] = "";
	char *group;
	uint32_t gid;

	memset(id, 0, sizeof *id);
	snprintf(user, sizeof user, "%s", spec->user ? spec->user : "");
	group = strchr(user, ':');
	if (group)
		*group++ = 0;
	if (find_user(root, *user ? user : "0", id, name, sizeof name, &lines, f))
		return -1;
	if (group && *group) {
		if (find_group(root, group, &gid, &lines, f))
			return -1;
		id->gid = gid;
	} else if (groups_of_member(root, name, id, &lines, f)) {
		return -1;
	}
	/*
	 * setregid(2) of a set-group-id program gives the primary group up: were it not among the
	 * supplementary ones, files that deny this group would open.
	 */
	if (add_group(id, id->gid, f))
		return -1;
	for (uint32_t i = 0; i < spec->groups.count; i++)
		if (find_group(root, spec->groups.items[i], &gid, &lines, f) || add_group(id, gid, f))
			return -1;
	if (!*id->home)
		strcpy(id->home, "/");
	return 0;
}
