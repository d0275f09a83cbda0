/* Tells what inotify(7) tells of the paths that it is given, a line each: MASK PATH[/NAME]. Ends when a name `end` comes. */
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define EVENTS (IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF)

static const struct {
	unsigned mask;
	const char *name;
} names[] = {
	{ IN_CREATE, "create" }, { IN_DELETE, "delete" }, { IN_MODIFY, "modify" }, { IN_ATTRIB, "attrib" },
	{ IN_CLOSE_WRITE, "close" }, { IN_MOVED_FROM, "from" }, { IN_MOVED_TO, "to" }, { IN_DELETE_SELF, "self" },
	{ IN_IGNORED, "ignored" }, { IN_Q_OVERFLOW, "overflow" },
};

int main(int argc, char **argv)
{
	static char buffer[65536] __attribute__((aligned(8)));
	int fd = inotify_init1(0), watches[16], count = argc - 1;
	ssize_t n;

	for (int i = 0; i < count && i < 16; i++) {
		watches[i] = inotify_add_watch(fd, argv[i + 1], EVENTS);
		if (watches[i] < 0)
			return perror(argv[i + 1]), 1;
	}
	puts("looks");
	fflush(stdout);
	while ((n = read(fd, buffer, sizeof buffer)) > 0)
		for (char *at = buffer; at < buffer + n;) {
			struct inotify_event *e = (struct inotify_event *)at;

			for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
				if (e->mask & names[i].mask) {
					printf("%s%s ", names[i].name, e->mask & IN_ISDIR ? "/" : "");
					for (int k = 0; k < count; k++)
						if (watches[k] == e->wd)
							printf("%s", argv[k + 1]);
					printf("%s%s\n", e->len ? "/" : "", e->len ? e->name : "");
				}
			fflush(stdout);
			if (e->len && !strcmp(e->name, "end"))
				return 0;
			at += sizeof *e + e->len;
		}
	return 1;
}
