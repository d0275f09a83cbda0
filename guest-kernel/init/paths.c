/* Paths of the container's root. Nothing in it is trusted: each step is resolved inside the root. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "launch.h"
#include "protocol.h"
#include "sys.h"

/* As many links as path_resolution(7) follows. */
#define MAX_LINKS 40

/*
 * Where the link `name` in `directory` leads, as a path from the root: the text of the link, behind
 * that of its directory when it is relative. The kernel walks it component by component, so nothing
 * is normalised here.
 */
static bool link_target(int directory, const char *prefix, size_t prefix_length, const char *name, char *target)
{
	char link[MAX_PATH + 1];
	ssize_t n = readlinkat(directory, name, link, MAX_PATH);

	if (n <= 0)
		return false;
	if (link[0] == '/')
		prefix_length = 0;
	if (prefix_length + 1 + (size_t)n > MAX_PATH) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(target, prefix, prefix_length);
	target[prefix_length] = '/';
	memcpy(target + prefix_length + 1, link, (size_t)n);
	target[prefix_length + 1 + (size_t)n] = 0;
	return true;
}

static int make_directories(int root, const char *path, unsigned mode, int links)
{
	char prefix[MAX_PATH + 1], target[MAX_PATH + 1];
	size_t length = strlen(path), end = 0;
	int current = open_in_root(root, path, O_PATH | O_DIRECTORY, 0);

	if (current >= 0 || errno != ENOENT)
		return current;
	if (length > MAX_PATH || links > MAX_LINKS) {
		errno = links > MAX_LINKS ? ELOOP : ENAMETOOLONG;
		return -1;
	}
	current = open_in_root(root, "/", O_PATH | O_DIRECTORY, 0);
	while (current >= 0) {
		size_t begin;
		int next, err;

		while (path[end] == '/')
			end++;
		if (end == length)
			return current;
		begin = end;
		end += strcspn(path + end, "/");
		memcpy(prefix, path, end);
		prefix[end] = 0;
		next = open_in_root(root, prefix, O_PATH | O_DIRECTORY, 0);
		if (next < 0 && errno == ENOENT && strcmp(prefix + begin, "..") != 0) {
			if (mkdirat(current, prefix + begin, mode) == 0)
				next = openat(current, prefix + begin, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			else if (errno == EEXIST && link_target(current, prefix, begin, prefix + begin, target))
				next = make_directories(root, target, mode, links + 1);
		}
		err = errno;
		close(current);
		errno = err;
		current = next;
	}
	return -1;
}

int ensure_directory(int root, const char *path, unsigned mode)
{
	return make_directories(root, path, mode, 0);
}

static int make_file(int root, const char *path, unsigned mode, int links)
{
	char parent[MAX_PATH + 1], target[MAX_PATH + 1];
	const char *slash = strrchr(path, '/');
	int fd = open_in_root(root, path, O_PATH, 0);
	size_t length;
	int directory, err;

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (!slash || !slash[1] || strlen(path) > MAX_PATH || links > MAX_LINKS) {
		errno = links > MAX_LINKS ? ELOOP : EINVAL;
		return -1;
	}
	length = (size_t)(slash - path);
	memcpy(parent, path, length);
	parent[length] = 0;
	directory = make_directories(root, length ? parent : "/", 0755, links);
	if (directory < 0)
		return -1;
	if (link_target(directory, parent, length, slash + 1, target)) {
		/* A dangling link of the image: the file is made where it points, inside the root. */
		fd = make_file(root, target, mode, links + 1);
	} else {
		fd = openat(directory, slash + 1, O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
		if (fd >= 0) {
			close(fd);
			fd = openat(directory, slash + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		}
	}
	err = errno;
	close(directory);
	errno = err;
	return fd;
}

int ensure_file(int root, const char *path, unsigned mode)
{
	return make_file(root, path, mode, 0);
}
