#include "posix.h"

static void exact(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		printf("%s: %s\n", path, strerror(errno));
	else
		printf("%s: atime %lld.%09ld mtime %lld.%09ld\n", path, (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
		       (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void set(const char *path, long long a, long an, long long m, long mn, int flags)
{
	struct timespec t[2] = { { a, an }, { m, mn } };

	T(utimensat(AT_FDCWD, path, t, flags));
	exact(path);
}

void times(void)
{
	int fd;

	file("f", "x", 0644);
	DO(mkdir("d", 0755));
	DO(symlink("f", "soft"));
	set("f", 1000000000, 123456789, 1000000001, 987654321, 0);
	set("d", 1, 1, 2, 2, 0);
	set("soft", 5, 5, 6, 6, AT_SYMLINK_NOFOLLOW);
	exact("f");
	/* Following a link reads it: its own atime may move. */
	T(utimensat(AT_FDCWD, "soft", (struct timespec[2]){ { 7, 7 }, { 8, 8 } }, 0));
	exact("f");
	set("f", 0, 0, 0, 0, 0);
	set("f", -1, 0, -86400, 0, 0);
	set("f", 4294967296, 0, 4294967297, 5, 0);
	set("f", 0, UTIME_OMIT, 99, 0, 0);
	set("f", 98, 0, 0, UTIME_OMIT, 0);
	set("f", 0, 1000000000, 0, 0, 0);
	TIMES("f", utimensat(AT_FDCWD, "f", NULL, 0));
	TIMES(".", opens("new", O_CREAT | O_WRONLY, 0644));
	TIMES(".", mkdir("sub", 0755));
	TIMES(".", rmdir("sub"));
	TIMES(".", link("f", "hard"));
	TIMES("f", link("f", "hard2"));
	TIMES("f", unlink("hard2"));
	TIMES(".", unlink("hard"));
	TIMES(".", symlink("x", "s2"));
	TIMES(".", rename("new", "newer"));
	TIMES("d", rename("newer", "d/in"));
	TIMES("f", rename("f", "g"));
	DO(rename("g", "f"));
	TIMES("f", chmod("f", 0600));
	TIMES("f", truncate("f", 1));
	TIMES("f", truncate("f", 100));
	TIMES("f", truncate("f", 0));
	TIMES("f", truncate("f", 0));
	TIMES("f", opens("f", O_WRONLY | O_TRUNC, 0));
	fd = open("f", O_RDWR);
	TIMES("f", write(fd, "abc", 3));
	TIMES("f", pread(fd, (char[3]){ 0 }, 3, 0));
	TIMES("f", fsync(fd));
	TIMES("f", ftruncate(fd, 3));
	TIMES("f", fchmod(fd, 0640));
	TIMES("f", mkdir("f", 0755));
	close(fd);
}
