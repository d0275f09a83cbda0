/*
 * Every entry point of the stage1 image is this program: it starts the Node that the image brings, by the loader and libraries that it brings, as
 * this same process. Static, and without the C library's start-up surprises: nothing of the host but its kernel is needed.
 *
 * The image's root is where this program lies. argv[0]'s last part names the entry point.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int main(int argc, char **argv, char **env)
{
	ssize_t n = readlink("/proc/self/exe", root, sizeof root - 1);
	char **args = calloc((size_t)argc + 8, sizeof *args), *slash;
	const char *name = argc > 0 ? argv[0] : "";
	char script[64];
	int count = 0, kept = 0;

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
	if (!args || snprintf(script, sizeof script, "/vmm/dist/stage1-%s.cjs", name) >= (int)sizeof script)
		return fail("no such entry point");
	for (int i = 0; env[i]; i++)
		if (!foreign(env[i]))
			env[kept++] = env[i];
	env[kept] = NULL;
	args[count++] = at("/vmm/lib/ld-linux-x86-64.so.2");
	args[count++] = "--inhibit-cache";
	args[count++] = "--library-path";
	args[count++] = at("/vmm/lib");
	args[count++] = at("/vmm/node");
	args[count++] = "--";
	args[count++] = at(script);
	for (int i = 1; i < argc; i++)
		args[count++] = argv[i];
	args[count] = NULL;
	execve(args[0], args, env);
	return fail(args[0]);
}
