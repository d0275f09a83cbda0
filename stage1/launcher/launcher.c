/*
 * Every program of the stage1 image is this one: it starts what the image brings, by the loader and the libraries that it brings, as this same
 * process. Static, so that nothing of the host but its kernel is needed. Where it lies and how it is called says what is started:
 *
 *   ROOT/NAME                           Node with the entry point NAME
 *   ROOT/usr/lib/rkt/plugins/net/NAME   the CNI plugin NAME
 *   ROOT/vmm/bin/NAME                   iptables and its kin, which plugins call
 *   ROOT/vmm/drop FILE                  takes a mount off FILE: gc's way to let go of a network namespace
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define STATUS 254 /* rkt's own failures and those of its stage1s */

static char root[PATH_MAX];

static char *at(const char *name)
{
	size_t size = strlen(root) + strlen(name) + 1;
	char *path = malloc(size);

	if (path)
		snprintf(path, size, "%s%s", root, name);
	return path;
}

/* What changes how a loader, an allocator or Node behave is the caller's, and not for this program. */
static int foreign(const char *variable)
{
	static const char *const prefixes[] = { "NODE_", "LD_", "MALLOC_", "GLIBC_TUNABLES=", "UV_" };

	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (!strncmp(variable, prefixes[i], strlen(prefixes[i])))
			return 1;
	return 0;
}

static int fail(const char *what)
{
	fprintf(stderr, "stage1: %s: %s\n", what, strerror(errno));
	return STATUS;
}

/* Takes `tail` off the end of `root`. */
static int below(const char *tail)
{
	size_t all = strlen(root), n = strlen(tail);

	if (all < n || strcmp(root + all - n, tail))
		return 0;
	root[all - n] = 0;
	return 1;
}

/*
 * stage0's lock is held as long as its descriptor is open. Node keeps the low ones from the programs that it starts, and stops looking at the first
 * number above 15 that is free: a high one would be held by a plugin that outlives the pod.
 */
static void lower_lock(void)
{
	const char *number = getenv("RKT_LOCK_FD");
	char text[16];
	int fd = number ? atoi(number) : -1, low;

	if (fd <= 15 || (low = fcntl(fd, F_DUPFD, 3)) < 0)
		return;
	if (low > fd) {
		close(low);
		return;
	}
	close(fd);
	snprintf(text, sizeof text, "%d", low);
	setenv("RKT_LOCK_FD", text, 1);
}

int main(int argc, char **argv, char **env)
{
	ssize_t n = readlink("/proc/self/exe", root, sizeof root - 1);
	char **args = calloc((size_t)argc + 10, sizeof *args), **kept = env, *slash, *settings = NULL;
	const char *name = argc > 0 ? argv[0] : "";
	char program[128];
	int count = 0;

	if (n < 0) {
		/* No /proc: rkt starts entry points by their absolute paths. */
		if (argc < 1 || argv[0][0] != '/' || strlen(argv[0]) >= sizeof root)
			return fail("cannot tell where it lies: /proc is not mounted");
		strcpy(root, argv[0]);
	}
	slash = strrchr(root, '/');
	if (slash)
		*slash = 0;
	if (strrchr(name, '/'))
		name = strrchr(name, '/') + 1;
	if (!args || strlen(name) > 40)
		return fail("no such entry point");
	for (int i = 0; env[i]; i++)
		if (!foreign(env[i]))
			*kept++ = env[i];
	*kept = NULL;
	if (below("/vmm") && !strcmp(name, "drop"))
		return argc < 2 || umount2(argv[1], MNT_DETACH) ? 1 : 0;
	args[count++] = NULL; /* the loader */
	args[count++] = "--inhibit-cache";
	args[count++] = "--library-path";
	args[count++] = NULL;
	if (below("/usr/lib/rkt/plugins/net")) {
		snprintf(program, sizeof program, "/vmm/plugins/%s", name);
		args[count++] = at(program);
	} else if (below("/vmm/bin")) {
		args[count++] = "--argv0";
		args[count++] = (char *)name;
		args[count++] = at("/vmm/xtables-nft-multi");
		settings = at("/vmm/lib/xtables");
		if (settings)
			setenv("XTABLES_LIBDIR", settings, 1);
	} else {
		lower_lock();
		/* An arena a thread costs more than it gains: 9 MiB of an idle pod. */
		setenv("MALLOC_ARENA_MAX", "1", 1);
		/* A service of systemd's has none; V8's code is kept there. */
		if (!geteuid())
			setenv("HOME", "/root", 0);
		args[count++] = at("/vmm/node");
		args[count++] = "--";
		snprintf(program, sizeof program, "/vmm/dist/stage1-%s.cjs", name);
		args[count++] = at(program);
	}
	args[0] = at("/vmm/lib/ld-linux-x86-64.so.2");
	args[3] = at("/vmm/lib");
	for (int i = 1; i < argc; i++)
		args[count++] = argv[i];
	args[count] = NULL;
	execv(args[0], args);
	return fail(args[0] ? args[0] : "no memory");
}
