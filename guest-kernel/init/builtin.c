#define _GNU_SOURCE
#include "builtin.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

_Noreturn void builtin_run(const struct strings *args)
{
	const char *name = args->items[0];
	const char *path = args->count > 1 ? args->items[1] : NULL;
	int status = 125;

	if (!strcmp(name, "processes"))
		status = list_processes();
	else if (path && !strcmp(name, "stat"))
		status = transfer_stat(path);
	else if (args->count > 2 && !strcmp(name, "out"))
		status = transfer_out(path, args->items[2]);
	else if (path && !strcmp(name, "in"))
		status = transfer_in(path);
	else
		fprintf(stderr, "there is no built-in '%.80s'\n", name);
	_exit(status);
}
