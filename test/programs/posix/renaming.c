#include "posix.h"

#include <sys/syscall.h>

#define NOREPLACE 1
#define EXCHANGE 2
#define WHITEOUT 4

static long moves(const char *from, const char *to, unsigned flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void content(const char *path)
{
	char text[16] = { 0 };
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		printf("%s: %s\n", path, strerror(errno));
	else
		printf("%s: %zd %s\n", path, read(fd, text, 15), text);
	close(fd);
}

void renaming(void)
{
	int fd;

	file("a", "of a", 0644);
	file("b", "of b", 0600);
	DO(mkdir("d", 0755));
	DO(mkdir("d/e", 0755));
	T(moves("a", "b", NOREPLACE));
	T(moves("a", "c", NOREPLACE));
	T(moves("c", "a", 0));
	T(moves("a", "b", EXCHANGE));
	content("a");
	content("b");
	show("a");
	T(moves("a", "d", EXCHANGE));
	show("a");
	content("d");
	T(moves("a", "d", EXCHANGE));
	T(moves("d", "d/e", EXCHANGE));
	T(moves("a", "nothing", EXCHANGE));
	T(moves("a", "b", EXCHANGE | NOREPLACE));
	T(moves("a", "b", 64));
	T(moves("d", "d/e/f", 0));
	T(link("a", "hard"));
	T(rename("a", "hard"));
	show("a");
	show("hard");
	T(unlink("hard"));
	fd = open("b", O_RDWR);
	T(rename("a", "b"));
	showfd("replaced", fd);
	content("b");
	close(fd);
	fd = open("d/e", O_RDONLY | O_DIRECTORY);
	T(rename("d/e", "moved"));
	T(openat(fd, "inside", O_CREAT | O_WRONLY, 0644) < 0 ? -1 : 0);
	show("moved/inside");
	T(renameat(fd, "inside", AT_FDCWD, "outside"));
	show("outside");
	T(faccessat(fd, "../outside", F_OK, 0));
	close(fd);
	for (int i = 0; i < 50; i++) {
		char from[16], to[16];

		snprintf(from, sizeof from, "n%d", i);
		snprintf(to, sizeof to, "n%d", i + 1);
		if (i == 0)
			file(from, "chain", 0644);
		if (rename(from, to))
			printf("%s: %s\n", from, strerror(errno));
	}
	content("n50");
	if (getuid() == 0) {
		file("w", "w", 0644);
		T(moves("w", "v", WHITEOUT));
		show("w");
		show("v");
	}
}
