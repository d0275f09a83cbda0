#include "posix.h"

#include <sys/sysmacros.h>

static void make(const char *how, const char *path)
{
	if (*how == 'f')
		file(path, "x", 0644);
	else if (*how == 'd')
		DO(mkdir(path, 0755));
	else if (*how == 'p')
		DO(mkfifo(path, 0644));
	else if (*how == 'l')
		DO(symlink("/nowhere", path));
	else if (*how == 's')
		DO(mknod(path, S_IFSOCK | 0644, 0));
}

/* Each call on each kind: EEXIST, EISDIR, ENOTDIR, ENOTEMPTY, EPERM. */
void kinds(void)
{
	static const char *const hows[] = { "file", "dir", "pipe", "link", "socket" };

	for (size_t i = 0; i < 5; i++) {
		printf("- on a %s\n", hows[i]);
		make(hows[i], "x");
		show("x");
		T(mkdir("x", 0755));
		T(mkfifo("x", 0644));
		T(mknod("x", S_IFREG | 0644, 0));
		T(symlink("y", "x"));
		T(opens("x", O_CREAT | O_EXCL | O_WRONLY, 0644));
		T(opens("x", O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0));
		T(opens("x", O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0));
		T(opens("x", O_PATH, 0));
		T(opens("x", O_PATH | O_NOFOLLOW, 0));
		T(opens("x", O_WRONLY | O_NONBLOCK, 0));
		T(opens("x", O_RDWR | O_TRUNC | O_NONBLOCK, 0));
		T(truncate("x", 3));
		T(link("x", "hard"));
		show("hard");
		T(unlink("hard"));
		T(rmdir("x"));
		make(hows[i], "x");
		for (size_t j = 0; j < 5; j++) {
			printf("- %s onto %s\n", hows[j], hows[i]);
			make(hows[j], "y");
			T(rename("y", "x"));
			show("x");
			T(unlink("y"));
			T(rmdir("y"));
			T(unlink("x"));
			T(rmdir("x"));
			make(hows[i], "x");
		}
		T(unlink("x"));
		T(rmdir("x"));
	}
	DO(mkdir("full", 0755));
	file("full/f", "x", 0644);
	DO(mkdir("empty", 0755));
	T(rmdir("full"));
	T(rename("empty", "full"));
	T(rename("full", "empty"));
	T(rename("empty", "empty/sub"));
	T(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	show("null");
	T(mknod("disk", S_IFBLK | 0660, makedev(7, 300)));
	show("disk");
	T(mknod("bad", S_IFDIR | 0755, 0));
	T(mknod("link", S_IFLNK | 0755, 0));
}
