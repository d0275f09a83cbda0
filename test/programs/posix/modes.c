#include "posix.h"

#include <sys/xattr.h>

static void write_to(const char *path)
{
	int fd = open(path, O_WRONLY);

	T(write(fd, "x", 1));
	close(fd);
	show(path);
}

static void sheds(void)
{
	write_to("suid");
	T(truncate("suid2", 0));
	show("suid2");
	T(chmod("own", 06777));
	show("own");
	T(chmod("foreign-group", 02755));
	show("foreign-group");
	T(lchown("own", 1000, 1000));
	show("own");
	T(lchown("own", 1000, 5000));
	T(lchown("own", 0, 1000));
	T(lchown("own", (uid_t)-1, (gid_t)-1));
	T(mkdir("sgid/sub", 0755));
	show("sgid/sub");
	file("sgid/f", "x", 0644);
	show("sgid/f");
	T(opens("sgid/exec", O_CREAT | O_WRONLY, 02775));
	show("sgid/exec");
	T(symlink("x", "sgid/soft"));
	show("sgid/soft");
}

void modes(void)
{
	static const mode_t all[] = { 0, 0111, 0444, 0644, 0755, 01777, 02755, 04755, 07777 };

	file("f", "x", 0644);
	DO(mkdir("d", 0755));
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		TIMES("f", chmod("f", all[i]));
		show("f");
		T(chmod("d", all[i]));
		show("d");
	}
	DO(chmod("d", 0755));
	for (mode_t mask = 0; mask <= 0777; mask += 0111) {
		umask(mask);
		T(opens("masked", O_CREAT | O_WRONLY, 0777));
		show("masked");
		DO(unlink("masked"));
		T(mkdir("masked", 0777));
		show("masked");
		DO(rmdir("masked"));
		T(mkfifo("masked", 0666));
		show("masked");
		DO(unlink("masked"));
	}
	umask(022);
	if (getuid() != 0)
		return;
	DO(chmod(".", 0777));
	file("suid", "x", 0644);
	file("suid2", "xyz", 0644);
	file("own", "x", 0644);
	file("foreign-group", "x", 0644);
	DO(mkdir("sgid", 0755));
	DO(lchown("sgid", 0, 5000));
	DO(chmod("sgid", 02777));
	DO(lchown("own", 1000, 1000));
	DO(lchown("foreign-group", 1000, 5000));
	DO(chmod("suid", 06777));
	DO(chmod("suid2", 06777));
	as(1000, 1000, 0, sheds);
	file("root-suid", "x", 0644);
	DO(chmod("root-suid", 06755));
	write_to("root-suid");
	DO(chmod("root-suid", 06755));
	TIMES("root-suid", lchown("root-suid", 5, 6));
	show("root-suid");
	DO(chmod("root-suid", 06644));
	T(lchown("root-suid", 7, 8));
	show("root-suid");
	DO(symlink("root-suid", "soft"));
	T(lchown("soft", 9, 9));
	show("soft");
	T(chown("soft", 10, 11));
	show("root-suid");
	T(chown("soft", (uid_t)-1, 12));
	show("root-suid");
	/* IDs that are not in any file */
	T(lchown("f", 4000000000u, 4000000001u));
	show("f");
}
