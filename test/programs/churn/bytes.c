/* After fsx: one file, whose content is known at each moment. */
#include "churn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST (512 * 1024)
#define PIECE (48 * 1024)

static unsigned char model[MOST], buffer[PIECE];
static unsigned long size, at_operation;
static const char *path;
static int fd;

static int bad(const char *what)
{
	printf("operation %lu: %s: %s\n", at_operation, what, strerror(errno));
	return 1;
}

static int check(const unsigned char *seen, unsigned long start, unsigned long n, const char *how)
{
	for (unsigned long i = 0; i < n; i++) {
		if (seen[i] == model[start + i])
			continue;
		printf("operation %lu, %s: byte %lu is %02x, not %02x (size %lu)\n", at_operation, how, start + i, seen[i], model[start + i], size);
		return 1;
	}
	return 0;
}

static void grow(unsigned long end)
{
	if (end > size)
		size = end;
}

static void fill(unsigned char *to, unsigned long n)
{
	unsigned char c = (unsigned char)chance(256);

	for (unsigned long i = 0; i < n; i++)
		to[i] = (unsigned char)(c + i * 31);
}

static int does_read(unsigned long start, unsigned long n)
{
	unsigned long there = start >= size ? 0 : size - start < n ? size - start : n;

	if (pread(fd, buffer, n, (off_t)start) != (ssize_t)there)
		return bad("pread");
	return check(buffer, start, there, "pread");
}

static int does_write(unsigned long start, unsigned long n)
{
	fill(buffer, n);
	if (pwrite(fd, buffer, n, (off_t)start) != (ssize_t)n)
		return bad("pwrite");
	memcpy(model + start, buffer, n);
	grow(start + n);
	return 0;
}

static int does_map(unsigned long start, unsigned long n, bool writes)
{
	unsigned long base = start & ~4095ul;
	unsigned char *p;
	int rc = 0;

	if (start >= size)
		return 0;
	if (n > size - start)
		n = size - start;
	p = mmap(NULL, start - base + n, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED, fd, (off_t)base);
	if (p == MAP_FAILED)
		return bad("mmap");
	if (writes) {
		fill(buffer, n);
		memcpy(p + (start - base), buffer, n);
		memcpy(model + start, buffer, n);
		if (chance(4) == 0 && msync(p, start - base + n, MS_SYNC))
			rc = bad("msync");
	} else {
		rc = check(p + (start - base), start, n, "mmap");
	}
	munmap(p, start - base + n);
	return rc;
}

static int does_truncate(unsigned long to)
{
	if (chance(2) ? ftruncate(fd, (off_t)to) : truncate(path, (off_t)to))
		return bad("truncate");
	if (to < size)
		memset(model + to, 0, size - to);
	size = to;
	return 0;
}

static int does_allocate(unsigned long start, unsigned long n)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };
	int mode = modes[chance(3)];

	if (fallocate(fd, mode, (off_t)start, (off_t)n))
		return bad("fallocate");
	if (mode & FALLOC_FL_PUNCH_HOLE)
		memset(model + start, 0, start + n > size ? (start < size ? size - start : 0) : n);
	else if (mode == 0)
		grow(start + n);
	return 0;
}

static int does_copy(unsigned long from, unsigned long to, unsigned long n)
{
	off_t in = (off_t)from, out = (off_t)to;
	ssize_t done;

	if (from >= size)
		return 0;
	if (n > size - from)
		n = size - from;
	if (n == 0 || (from < to + n && to < from + n))
		return 0;
	done = copy_file_range(fd, &in, fd, &out, n, 0);
	if (done < 0)
		return bad("copy_file_range");
	memcpy(model + to, model + from, (size_t)done);
	grow(to + (unsigned long)done);
	return 0;
}

static int does_open(void)
{
	struct stat st;

	close(fd);
	fd = open(path, O_RDWR);
	if (fd < 0 || fstat(fd, &st))
		return bad("open");
	if ((unsigned long)st.st_size != size) {
		printf("operation %lu: the size is %lld, not %lu\n", at_operation, (long long)st.st_size, size);
		return 1;
	}
	return 0;
}

static int step(void)
{
	unsigned long start = chance(MOST - PIECE), n = 1 + chance(chance(3) ? 4096 : PIECE - 1);

	if (chance(3) == 0)
		start &= ~4095ul;
	switch (chance(12)) {
	case 0:
	case 1:
	case 2:
		return does_read(start, n);
	case 3:
	case 4:
	case 5:
		return does_write(start, n);
	case 6:
		return does_map(start, n, false);
	case 7:
		return does_map(start, n, true);
	case 8:
		return does_truncate(chance(2) ? start : size / 2);
	case 9:
		return does_allocate(start, n);
	case 10:
		return does_copy(start, chance(MOST - PIECE), n);
	default:
		return chance(3) ? does_open() : fsync(fd) ? bad("fsync") : 0;
	}
}

int bytes(const char *name, unsigned long operations)
{
	path = name;
	fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0644);
	if (fd < 0)
		return bad("open");
	for (at_operation = 1; at_operation <= operations; at_operation++)
		if (step())
			return 1;
	close(fd);
	printf("%lu bytes, %016llx\n", size, (unsigned long long)hash(HASH0, model, size));
	return 0;
}
