#include "posix.h"

static void attempts(void)
{
	T(opens("d/r", O_RDONLY, 0));
	T(opens("d/w", O_WRONLY, 0));
	T(opens("d/w", O_RDONLY, 0));
	T(opens("d/r", O_RDWR, 0));
	T(opens("d/r", O_RDONLY | O_TRUNC, 0));
	T(opens("d/g", O_RDWR, 0));
	T(opens("d/new", O_CREAT | O_WRONLY, 0644));
	T(access("d/r", R_OK));
	T(access("d/r", W_OK));
	T(access("d/x", X_OK));
	T(access("d", W_OK));
	T(unlink("d/r"));
	T(mkdir("d/sub", 0755));
	T(symlink("x", "d/soft"));
	T(mkfifo("d/pipe", 0644));
	T(link("d/x", "d/hard"));
	T(rename("d/x", "d/y"));
	T(rename("d/x", "open/x"));
	T(rename("open/mine", "d/mine"));
	T(chmod("d/r", 0777));
	T(lchown("d/r", getuid(), getgid()));
	T(truncate("d/r", 0));
	T(truncate("d/w", 2));
	T(opens("shut/x", O_RDONLY, 0));
	T(unlink("shut/x"));
	T(mkdir("shut/y", 0755));
	T(access("shut/x", F_OK));
	T(opens("noread", O_RDONLY | O_DIRECTORY, 0));
	T(opens("noread/x", O_RDONLY, 0));
	T(utimensat(AT_FDCWD, "d/r", NULL, 0));
	T(utimensat(AT_FDCWD, "d/w", NULL, 0));
	struct timespec given[2] = { { 1, 0 }, { 2, 0 } };
	T(utimensat(AT_FDCWD, "d/w", given, 0));
	T(utimensat(AT_FDCWD, "open/mine", given, 0));
}

void permissions(void)
{
	DO(mkdir("d", 0755));
	DO(mkdir("open", 0755));
	DO(chmod("open", 0777));
	DO(mkdir("shut", 0755));
	DO(mkdir("noread", 0755));
	file("d/r", "read\n", 0444);
	file("d/w", "write", 0222);
	file("d/x", "x", 0644);
	file("d/g", "group", 0660);
	file("shut/x", "x", 0644);
	file("noread/x", "x", 0644);
	file("open/mine", "x", 0644);
	if (getuid() == 0) {
		DO(lchown("d/g", 0, 3000));
		DO(lchown("open/mine", 1000, 1000));
	}
	DO(chmod("shut", 0600));
	DO(chmod("noread", 0311));
	if (getuid() != 0) {
		attempts();
		return;
	}
	as(1000, 1000, 0, attempts);
	as(1000, 1000, 3000, attempts);
	as(2000, 3000, 0, attempts);
	printf("- root\n");
	attempts();
}
