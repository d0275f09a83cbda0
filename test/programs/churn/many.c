/* More files than a process may have open: made, looked at, read and some removed, in another order each time. */
#include "churn.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define A_FOLDER 1000

static const char *path_of(unsigned long i)
{
	static char path[64];

	sprintf(path, "d%lu/f%lu", i / A_FOLDER, i);
	return path;
}

static int make(unsigned long i)
{
	char text[32];
	int fd, n = sprintf(text, "%lu\n", i);

	if (i % A_FOLDER == 0) {
		sprintf(text, "d%lu", i / A_FOLDER);
		if (mkdir(text, 0755))
			return -1;
		n = sprintf(text, "%lu\n", i);
	}
	fd = open(path_of(i), O_CREAT | O_EXCL | O_WRONLY, 0644);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		return -1;
	return close(fd);
}

static int check(unsigned long i)
{
	char text[32], seen[32] = { 0 };
	struct stat st;
	int fd, n = sprintf(text, "%lu\n", i);

	if (stat(path_of(i), &st) || st.st_size != n)
		return -1;
	fd = open(path_of(i), O_RDONLY);
	if (fd < 0 || read(fd, seen, sizeof seen) != n || strcmp(seen, text))
		return -1;
	return close(fd);
}

int many(unsigned long count)
{
	unsigned long stride = 7919; /* a prime: every file once */
	char kept[64];
	int held = open(".", O_RDONLY | O_DIRECTORY);

	for (unsigned long i = 0; i < count; i++)
		if (make(i))
			return perror(path_of(i)), 1;
	for (unsigned long i = 0, at = 0; i < count; i++, at = (at + stride) % count)
		if (check(at))
			return perror(path_of(at)), 1;
	for (unsigned long i = 0; i < count; i += 2)
		if (unlinkat(held, path_of(i), 0))
			return perror(path_of(i)), 1;
	for (unsigned long i = 1; i < count; i += 2) {
		sprintf(kept, "%s.kept", path_of(i));
		if (check(i) || (i % 101 == 0 && rename(path_of(i), kept)))
			return perror(path_of(i)), 1;
	}
	printf("%lu\n", count);
	return 0;
}
