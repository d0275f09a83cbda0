/* Paths of the container's root. Nothing in it is trusted: each step is resolved inside the root. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "launch.h"
#include "protocol.h"
#include "sys.h"

int ensure_directory(int root, const char *path, unsigned mode)
{
	char prefix[MAX_PATH + 1];
	size_t length = strlen(path), end = 0;
	int current = open_in_root(root, path, O_PATH | O_DIRECTORY, 0);

	if (current >= 0 || errno != ENOENT)
		return current;
	if (length > MAX_PATH) {
		errno = ENAMETOOLONG;
		return -1;
	}
	current = open_in_root(root, "/", O_PATH | O_DIRECTORY, 0);
	while (current >= 0) {
		size_t begin;
		const char *name;
		int next;

		while (path[end] == '/')
			end++;
		if (end == length)
			return current;
		begin = end;
		end += strcspn(path + end, "/");
		memcpy(prefix, path, end);
		prefix[end] = 0;
		name = prefix + begin;
		next = open_in_root(root, prefix, O_PATH | O_DIRECTORY, 0);
		if (next < 0 && errno == ENOENT && strcmp(name, "..") != 0 &&
		    (mkdirat(current, name, mode) == 0 || errno == EEXIST))
			next = openat(current, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int err = errno;

		close(current);
		errno = err;
		current = next;
	}
	return -1;
}

int ensure_file(int root, const char *path, unsigned mode)
{
	char parent[MAX_PATH + 1];
	const char *slash = strrchr(path, '/');
	int fd = open_in_root(root, path, O_PATH, 0);
	int directory;

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (!slash || !slash[1] || strlen(path) > MAX_PATH) {
		errno = EINVAL;
		return -1;
	}
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = 0;
	directory = ensure_directory(root, *parent ? parent : "/", 0755);
	if (directory < 0)
		return -1;
	close(directory);
	/* O_CREAT follows a dangling link of the image to where it points, inside the root. */
	fd = open_in_root(root, path, O_CREAT | O_WRONLY | O_NONBLOCK | O_NOCTTY, mode);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : open_in_root(root, path, O_PATH, 0);
}
