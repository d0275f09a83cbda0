#include "posix.h"

#include <sys/xattr.h>

static void listed(const char *path)
{
	char names[4096], *p;
	ssize_t n = llistxattr(path, names, sizeof names);
	int count = 0;

	/* Order is the file system's; a label of SELinux none of ours. */
	for (p = names; n > 0 && p < names + n; p += strlen(p) + 1)
		count += strncmp(p, "user.", 5) == 0 || strncmp(p, "trusted.", 8) == 0;
	printf("%s has %d attributes (%s)\n", path, count, n < 0 ? strerror(errno) : "ok");
}

static void attempts(void)
{
	char v[16];

	T(lsetxattr("f", "user.x", "1", 1, 0));
	T(lgetxattr("f", "user.a", v, sizeof v));
	T(lgetxattr("f", "trusted.t", v, sizeof v));
	T(lsetxattr("f", "trusted.u", "1", 1, 0));
	T(lremovexattr("f", "user.a"));
	T(lsetxattr("shared", "user.x", "1", 1, 0));
	T(lsetxattr("sticky", "user.x", "1", 1, 0));
}

void attributes(void)
{
	static char large[70000], value[70000];
	char v[64] = { 0 };

	file("f", "x", 0644);
	DO(mkdir("d", 0755));
	DO(symlink("f", "soft"));
	TIMES("f", lsetxattr("f", "user.a", "value", 5, 0));
	T(lgetxattr("f", "user.a", v, sizeof v));
	printf("%s\n", v);
	T(lgetxattr("f", "user.a", NULL, 0));
	T(lgetxattr("f", "user.a", v, 2));
	T(lsetxattr("f", "user.a", "other", 5, XATTR_CREATE));
	T(lsetxattr("f", "user.b", "other", 5, XATTR_REPLACE));
	T(lsetxattr("f", "user.a", "", 0, XATTR_REPLACE));
	T(lgetxattr("f", "user.a", v, sizeof v));
	T(lgetxattr("f", "user.none", v, sizeof v));
	T(lsetxattr("d", "user.d", "\0\1\2", 3, 0));
	T(lgetxattr("d", "user.d", v, sizeof v));
	T(setxattr("soft", "user.through", "x", 1, 0));
	T(lsetxattr("soft", "user.link", "x", 1, 0));
	T(lsetxattr("f", "noprefix", "x", 1, 0));
	T(lsetxattr("f", "", "x", 1, 0));
	T(lsetxattr("f", "user.", "x", 1, 0));
	memset(large, 'l', sizeof large);
	T(lsetxattr("f", "user.large", large, 3000, 0));
	T(lgetxattr("f", "user.large", value, sizeof value));
	T(lsetxattr("f", "user.toolarge", large, 65537, 0));
	listed("f");
	listed("d");
	T(lremovexattr("f", "user.large"));
	T(lremovexattr("f", "user.large"));
	listed("f");
	if (getuid() != 0)
		return;
	T(lsetxattr("f", "trusted.t", "x", 1, 0));
	T(lgetxattr("f", "trusted.t", v, sizeof v));
	file("shared", "x", 0666);
	DO(mkdir("sticky", 0777));
	DO(chmod("sticky", 01777));
	as(1000, 1000, 0, attempts);
}
