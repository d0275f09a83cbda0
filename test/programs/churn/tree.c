/* After fsstress: operations on names, most of which fail; what each gave goes into a digest that is told every 1,000. */
#include "churn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static char one[256], two[256], data[20000];

/* A path of up to four short names, so that the same ones come again. */
static char *random_path(char *to)
{
	char *p = to;

	for (uint32_t depth = 1 + chance(4); depth; depth--)
		p += sprintf(p, "%s%c%u", p == to ? "" : "/", "df"[chance(2)], chance(6));
	return to;
}

static long writes(const char *path, int flags)
{
	uint32_t at = chance(30000), n = 1 + chance(sizeof data - 1);
	int fd = open(path, flags | O_NONBLOCK, 0600 | chance(0200));
	long rc;

	if (fd < 0)
		return -1;
	memset(data, (int)chance(256), n);
	rc = pwrite(fd, data, n, flags & O_APPEND ? 0 : at);
	close(fd);
	return rc;
}

static long reads(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	uint64_t h = HASH0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while ((n = read(fd, data, sizeof data)) > 0)
		h = hash(h, data, (unsigned long)n);
	if (n < 0) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	close(fd);
	return (long)(h >> 1);
}

/* Names of a directory in any order: their sum. */
static long lists(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	long sum = 0;

	if (!d)
		return -1;
	while ((e = readdir(d)))
		sum += (long)(hash(HASH0, e->d_name, strlen(e->d_name)) >> 8);
	closedir(d);
	return sum < 0 ? -sum : sum;
}

static long looks(const char *path)
{
	struct stat st;
	uint64_t h = HASH0;

	if (lstat(path, &st))
		return -1;
	h = hash(h, &st.st_mode, sizeof st.st_mode);
	h = hash(h, &st.st_uid, sizeof st.st_uid);
	if (!S_ISDIR(st.st_mode)) {
		h = hash(h, &st.st_nlink, sizeof st.st_nlink);
		h = hash(h, &st.st_size, sizeof st.st_size);
	}
	return (long)(h >> 1);
}

static long marks(const char *path)
{
	char value[64];
	uint32_t n = chance(sizeof value);

	memset(value, 'v', sizeof value);
	switch (chance(3)) {
	case 0:
		return lsetxattr(path, chance(2) ? "user.one" : "user.two", value, n, 0);
	case 1:
		return lgetxattr(path, chance(2) ? "user.one" : "user.two", value, sizeof value);
	default:
		return lremovexattr(path, "user.one");
	}
}

static long step(void)
{
	random_path(one);
	random_path(two);
	switch (chance(20)) {
	case 0:
	case 1:
		return mkdir(one, 0700 | chance(0100));
	case 2:
	case 3:
		return writes(one, O_CREAT | O_WRONLY);
	case 4:
		return writes(one, O_WRONLY | O_APPEND);
	case 5:
		return writes(one, O_CREAT | O_EXCL | O_WRONLY);
	case 6:
		return unlink(one);
	case 7:
		return rmdir(one);
	case 8:
		return rename(one, two);
	case 9:
		return link(one, two);
	case 10:
		return symlink(two, one);
	case 11:
		return truncate(one, chance(40000));
	case 12:
		return chmod(one, 0600 | chance(0200));
	case 13:
		return reads(one);
	case 14:
		return lists(one);
	case 15:
		return marks(one);
	case 16:
		return syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, 1 + chance(2));
	case 17:
		return mknod(one, chance(2) ? S_IFIFO | 0600 : S_IFREG | 0600, 0);
	case 18:
		return lchown(one, getuid() ? getuid() : chance(3), (gid_t)-1);
	default:
		return looks(one);
	}
}

int tree(unsigned long operations)
{
	uint64_t h = HASH0;

	for (unsigned long i = 1; i <= operations; i++) {
		long rc;

		errno = 0;
		rc = step();
		if (rc < 0)
			rc = -errno;
		h = hash(h, &rc, sizeof rc);
		if (getenv("CHURN_TELL"))
			printf("%lu %s %s %ld\n", i, one, two, rc);
		else if (i % 1000 == 0 || i == operations)
			printf("%lu %016llx\n", i, (unsigned long long)h);
	}
	return 0;
}
