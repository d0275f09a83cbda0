#include "posix.h"

static void attempts(void)
{
	T(unlink("s/theirs"));
	T(unlink("s/mine"));
	T(rename("s/theirs2", "s/z"));
	T(rename("s/mine2", "s/z"));
	T(rename("s/mine3", "s/theirs2"));
	T(rmdir("s/dir"));
	T(rename("s/dir", "s/moved"));
	T(rename("s/theirs2", "out"));
	T(opens("s/new", O_CREAT | O_WRONLY, 0644));
	T(unlink("s/new"));
	T(opens("s/given", O_CREAT | O_WRONLY, 0644));
}

void sticky(void)
{
	DO(mkdir("s", 0777));
	DO(chmod("s", 01777));
	show("s");
	DO(chmod(".", 0777));
	file("s/theirs", "x", 0666);
	file("s/theirs2", "x", 0666);
	file("s/given", "x", 0666);
	DO(mkdir("s/dir", 0777));
	for (const char *const *p = (const char *const[]){ "s/mine", "s/mine2", "s/mine3", NULL }; *p; p++) {
		file(*p, "x", 0644);
		if (getuid() == 0)
			DO(lchown(*p, 1000, 1000));
	}
	if (getuid() == 0)
		as(1000, 1000, 0, attempts);
	else
		attempts();
	show("s/theirs");
	show("s/theirs2");
}
