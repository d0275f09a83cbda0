#include "posix.h"

static void attempts(void)
{
	T(link("theirs", "hard1"));
	T(link("mine", "hard2"));
	T(link("suid", "hard3"));
	T(link("shut/x", "hard4"));
}

void linking(void)
{
	char target[4097], read_back[4200];
	struct stat a, b;

	file("a", "x", 0644);
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof name, "l%d", i);
		DO(link("a", name));
	}
	show("a");
	DO(stat("a", &a));
	DO(stat("l19", &b));
	printf("one inode: %d\n", a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	T(chmod("l3", 0600));
	show("a");
	T(truncate("l4", 7));
	show("l5");
	T(unlink("a"));
	show("l6");
	DO(symlink("l6", "soft"));
	T(link("soft", "hard-soft"));
	show("hard-soft");
	T(linkat(AT_FDCWD, "soft", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
	show("followed");
	DO(mkdir("d", 0755));
	T(link("d", "hard-d"));
	T(link("l6", "d"));
	memset(target, 't', sizeof target - 1);
	for (size_t n = 1; n <= 4096; n = n == 1 ? 100 : n == 100 ? 255 : n == 255 ? 4095 : n + 1) {
		char name[16];

		target[n] = 0;
		snprintf(name, sizeof name, "s%zu", n);
		T(symlink(target, name));
		T(readlink(name, read_back, sizeof read_back));
		show(name);
		target[n] = 't';
	}
	T(symlink("", "empty"));
	T(readlink("l6", read_back, 10));
	T(readlink("soft", read_back, 1));
	if (getuid() != 0)
		return;
	DO(chmod(".", 0777));
	file("theirs", "x", 0644);
	file("mine", "x", 0644);
	DO(lchown("mine", 1000, 1000));
	file("suid", "x", 0644);
	DO(chmod("suid", 04755));
	DO(mkdir("shut", 0700));
	file("shut/x", "x", 0666);
	as(1000, 1000, 0, attempts);
}
