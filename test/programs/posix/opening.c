#include "posix.h"

#include <sys/mman.h>

static void appending(void)
{
	int a = open("log", O_CREAT | O_WRONLY | O_APPEND, 0644), b = open("log", O_WRONLY | O_APPEND);
	char text[32] = { 0 };

	for (int i = 0; i < 3; i++) {
		T(write(a, "a", 1));
		T(write(b, "bb", 2));
	}
	T(pwrite(a, "P", 1, 0));
	T(lseek(a, 0, SEEK_CUR));
	close(a);
	close(b);
	a = open("log", O_RDONLY);
	T(read(a, text, sizeof text));
	printf("%s\n", text);
	T(write(a, "x", 1));
	close(a);
}

static void unlinked(void)
{
	char text[8] = { 0 };
	struct stat st;
	int fd = open("gone", O_CREAT | O_RDWR, 0640), other;

	T(write(fd, "still", 5));
	other = open("gone", O_RDONLY);
	T(unlink("gone"));
	show("gone");
	showfd("gone by descriptor", fd);
	T(write(fd, "!", 1));
	T(pread(other, text, sizeof text, 0));
	printf("%s\n", text);
	T(ftruncate(fd, 3));
	T(fchmod(fd, 0600));
	T(fsync(fd));
	T(linkat(fd, "", AT_FDCWD, "back", AT_EMPTY_PATH));
	T(fstat(other, &st));
	printf("size %lld links %lu\n", (long long)st.st_size, (unsigned long)st.st_nlink);
	close(fd);
	T(pread(other, text, sizeof text, 0));
	close(other);
	DO(mkdir("dir", 0755));
	fd = open("dir", O_RDONLY | O_DIRECTORY);
	T(rmdir("dir"));
	T(openat(fd, "x", O_CREAT | O_WRONLY, 0644));
	T(fstat(fd, &st));
	close(fd);
}

static void nameless(void)
{
	char path[64], text[8] = { 0 };
	int fd = open(".", O_TMPFILE | O_RDWR, 0640);

	T(fd < 0 ? -1 : 0);
	T(write(fd, "temp", 4));
	showfd("nameless", fd);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	T(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	show("named");
	T(pread(fd, text, 4, 0));
	close(fd);
	fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0640);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	T(linkat(AT_FDCWD, path, AT_FDCWD, "named2", AT_SYMLINK_FOLLOW));
	close(fd);
	T(opens("named", O_TMPFILE | O_RDWR, 0600));
	T(opens(".", O_TMPFILE | O_RDONLY, 0600));
}

void opening(void)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT | O_EXCL | O_RDWR, O_CREAT | O_RDONLY, O_WRONLY | O_TRUNC, O_RDONLY | O_TRUNC,
		O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW, O_PATH, O_PATH | O_NOFOLLOW, O_CREAT | O_NOFOLLOW | O_WRONLY, O_CREAT | O_DIRECTORY, O_WRONLY | O_SYNC, O_RDWR | O_DSYNC, O_RDONLY | O_NOATIME };
	static const char *const on[] = { "f", "d", "soft", "dangling", "none", "d/" };

	file("f", "text", 0644);
	DO(mkdir("d", 0755));
	DO(symlink("f", "soft"));
	DO(symlink("target", "dangling"));
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		for (size_t j = 0; j < sizeof on / sizeof *on; j++) {
			printf("%s %o: ", on[j], flags[i]);
			T(opens(on[j], flags[i], 0644));
		}
		show("f");
		show("target");
		show("none");
		unlink("target");
		unlink("none");
		file("f", "text", 0644);
	}
	appending();
	unlinked();
	nameless();
}
