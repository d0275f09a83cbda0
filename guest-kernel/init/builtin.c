#define _GNU_SOURCE
#include "builtin.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "launch.h"
#include "sys.h"

#define MAX_LINE 4096

/* Up to `size` - 1 bytes of a file of a process; without the characters that divide our lines. */
static size_t proc_file(const char *pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof path, "/proc/%.12s/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	if (n < 0)
		n = 0;
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\0'))
		n--;
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\0' || text[i] == '\n')
			text[i] = name[0] == 'c' && text[i] == '\0' ? ' ' : '?';
	text[n] = '\0';
	return (size_t)n;
}

/* A line a process: the owner's uid, NUL, /proc/PID/stat, NUL, its command line. */
static int list_processes(void)
{
	static char text[MAX_LINE];
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc) {
		fprintf(stderr, "/proc: %m\n");
		return 1;
	}
	while ((entry = readdir(proc))) {
		char path[64];
		struct stat st;

		snprintf(path, sizeof path, "/proc/%.12s", entry->d_name);
		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid() || stat(path, &st))
			continue;
		if (!proc_file(entry->d_name, "stat", text, sizeof text))
			continue;
		printf("%u%c%s%c", st.st_uid, 0, text, 0);
		proc_file(entry->d_name, "cmdline", text, sizeof text);
		printf("%s\n", text);
	}
	closedir(proc);
	return fflush(stdout) ? 1 : 0;
}

struct command {
	const char *name;
	uint32_t least; /* arguments */
	int (*run)(char *const *args);
};

static int run_stat(char *const *args)
{
	return transfer_stat(args[0]);
}

static int run_out(char *const *args)
{
	return transfer_out(args[0], args[1]);
}

static int run_in(char *const *args)
{
	return transfer_in(args[0]);
}

static int run_read(char *const *args)
{
	return file_read(args[0]);
}

static int run_write(char *const *args)
{
	return file_write(args[0], args[1], !strcmp(args[2], "append"));
}

static int run_list(char *const *args)
{
	return file_list(args[0]);
}

static int run_mkdir(char *const *args)
{
	return file_mkdir(args[0], args[1]);
}

static int run_remove(char *const *args)
{
	return file_remove(args[0], !strcmp(args[1], "recursive"));
}

static int run_rename(char *const *args)
{
	return file_rename(args[0], args[1]);
}

static int run_watch(char *const *args)
{
	return watch_run(args[0]);
}

static int run_connect(char *const *args)
{
	return connect_run(args[0]);
}

static int run_processes(char *const *args)
{
	(void)args;
	return list_processes();
}

/* The first process of a container that has no command of its own. */
static int run_idle(char *const *args)
{
	(void)args;
	reaper_run(0);
}

static const struct command commands[] = {
	{ "processes", 0, run_processes }, { "stat", 1, run_stat },     { "out", 2, run_out },       { "in", 1, run_in },
	{ "read", 1, run_read },           { "write", 3, run_write },   { "list", 1, run_list },     { "mkdir", 2, run_mkdir },
	{ "remove", 2, run_remove },       { "rename", 2, run_rename }, { "watch", 1, run_watch },   { "connect", 1, run_connect },
	{ "idle", 0, run_idle },
};

_Noreturn void builtin_run(const struct strings *args)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (!strcmp(args->items[0], commands[i].name) && args->count > commands[i].least)
			_exit(commands[i].run(args->items + 1));
	fprintf(stderr, "there is no built-in '%.80s'\n", args->items[0]);
	_exit(125);
}
