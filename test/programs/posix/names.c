#include "posix.h"

#include <sys/sysmacros.h>

/* ENAMETOOLONG, ENOTDIR, ENOENT, ELOOP and EEXIST of each call that takes a name. */
static void each(const char *what, const char *path)
{
	printf("- %s\n", what);
	T(mkdir(path, 0755));
	T(rmdir(path));
	T(mkfifo(path, 0644));
	T(unlink(path));
	T(mknod(path, S_IFREG | 0644, 0));
	T(unlink(path));
	T(symlink("target", path));
	T(unlink(path));
	T(opens(path, O_CREAT | O_EXCL | O_WRONLY, 0644));
	T(link("there", path));
	T(rename("moves", path));
	T(rename(path, "moves"));
	T(chmod(path, 0600));
	T(lchown(path, getuid(), getgid()));
	T(truncate(path, 5));
	T(access(path, F_OK));
	T(utimensat(AT_FDCWD, path, NULL, 0));
	T(rmdir(path));
	T(unlink(path));
	need("back", access("moves", F_OK) && (file("moves", "m", 0644), 0));
}

static void odd(void)
{
	static const char *odd[] = { "a b", "new\nline", "\377\376", "..x", ".hidden", "*?[", "\xc3\xa9", "con", "a:b", "\\" };

	printf("- odd names\n");
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		T(mkdir(odd[i], 0755));
		T(rmdir(odd[i]));
	}
	T(mkdir("", 0755));
	T(mkdir(".", 0755));
	T(rmdir("."));
	T(rmdir(".."));
	T(mkdir("/", 0755));
	T(rename("there", "."));
	T(rename(".", "there"));
	T(unlink(".."));
}

void names(void)
{
	file("there", "x", 0644);
	file("moves", "m", 0644);
	DO(mkdir("dir", 0755));
	DO(symlink("loop", "loop"));
	DO(symlink("nothing", "dangling"));
	DO(symlink("dir", "to-dir"));
	each("255 characters", name_of(255));
	each("256 characters", name_of(256));
	each("a path of 4095", path_of(4095));
	each("a path of 4096", path_of(4096));
	each("below a file", "there/x");
	each("below nothing", "nothing/x");
	each("through a loop", "loop/x");
	each("through a link", "to-dir/x");
	each("a dangling link", "dangling");
	each("a slash behind", "slash/");
	each("a file and a slash", "there/");
	odd();
}
