#include "posix.h"

#include <grp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

void told(const char *call, long result)
{
	if (result < 0)
		printf("%s: %s\n", call, strerror(errno));
	else
		printf("%s: %ld\n", call, result);
	fflush(stdout);
}

void need(const char *call, long result)
{
	if (result < 0)
		printf("NOT DONE %s: %s\n", call, strerror(errno));
	fflush(stdout);
}

static void tick(void)
{
	/* more than the granularity of a file system's times */
	struct timespec t = { 0, 20000000 };

	nanosleep(&t, NULL);
}

void before(const char *path, struct stat *st)
{
	memset(st, 0, sizeof *st);
	if (lstat(path, st))
		printf("%s: %s\n", path, strerror(errno));
	tick();
}

static bool same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

void after(const char *call, const char *path, const struct stat *was, long result)
{
	int err = errno;
	struct stat is;

	if (lstat(path, &is))
		printf("%s is gone after ", path);
	else
		printf("%s ctime %s, mtime %s after ", path, same(is.st_ctim, was->st_ctim) ? "same" : "moved",
		       same(is.st_mtim, was->st_mtim) ? "same" : "moved");
	errno = err;
	told(call, result);
}

static void line(const char *what, const struct stat *st)
{
	static const char *kinds[16] = { [1] = "fifo", [2] = "char", [4] = "dir", [6] = "block", [8] = "file", [10] = "link", [12] = "socket" };

	printf("%s: %s %04o", what, kinds[st->st_mode >> 12], st->st_mode & 07777);
	/* Of a directory's size and links file systems think differently. */
	if (!S_ISDIR(st->st_mode))
		printf(" links %lu size %lld", (unsigned long)st->st_nlink, (long long)st->st_size);
	printf(" %u:%u", st->st_uid, st->st_gid);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		printf(" rdev %llx", (unsigned long long)st->st_rdev);
	printf("\n");
}

void show(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		printf("%s: %s\n", path, strerror(errno));
	else
		line(path, &st);
}

void showfd(const char *what, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		printf("%s: %s\n", what, strerror(errno));
	else
		line(what, &st);
}

void file(const char *path, const char *content, mode_t mode)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	need(path, fd);
	need("write", write(fd, content, strlen(content)));
	need("fchmod", fchmod(fd, mode));
	close(fd);
}

const char *name_of(size_t n)
{
	static char name[300];

	memset(name, 'n', n);
	name[n] = 0;
	return name;
}

const char *path_of(size_t n)
{
	static char path[5000];

	for (size_t i = 0; i < n; i++)
		path[i] = i % 2 ? '/' : '.';
	path[n - 1] = 'x';
	path[n] = 0;
	return path;
}

void as(uid_t uid, gid_t gid, gid_t extra, void (*work)(void))
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		need("setgroups", setgroups(extra ? 1 : 0, &extra));
		need("setresgid", setresgid(gid, gid, gid));
		need("setresuid", setresuid(uid, uid, uid));
		printf("-- as %u:%u", uid, gid);
		if (extra)
			printf(" +%u", extra);
		printf("\n");
		work();
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	printf("-- end\n");
}

long opens(const char *path, int flags, mode_t mode)
{
	int fd = open(path, flags, mode);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static const struct { const char *name; void (*run)(void); } sections[] = {
	{ "names", names }, { "kinds", kinds }, { "permissions", permissions }, { "sticky", sticky }, { "modes", modes },
	{ "times", times }, { "opening", opening }, { "renaming", renaming }, { "linking", linking }, { "sizes", sizes },
	{ "data", data }, { "attributes", attributes }, { "locks", locks }, { "directories", directories }, { "sockets", sockets },
};

/* posix DIRECTORY [UID]: a directory of each section's own is made in it. */
int main(int argc, char **argv)
{
	uid_t uid = argc > 2 ? (uid_t)atoi(argv[2]) : 0;

	umask(022);
	/* What waits for ever ends, and a user may fork here as in a guest. */
	alarm(120);
	if (getuid() == 0)
		setrlimit(RLIMIT_NPROC, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	if (uid && (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid)))
		return 1;
	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
		if (argc < 2 || chdir(argv[1]) || mkdir(sections[i].name, 0777) || chdir(sections[i].name))
			return 2;
		printf("== %s\n", sections[i].name);
		sections[i].run();
	}
	return 0;
}
