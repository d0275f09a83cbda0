/*
 * mkseed IMAGE > SEED: what of a file system's image is not zero, and where it belongs (vmm/guest/scratch.ts reads it).
 * Little-endian: u64 bytes of the image, u32 count of pieces, for each u64 offset and u32 length, then all their bytes.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096
#define PIECES_MAX 4096

static struct {
	uint64_t offset;
	uint32_t length;
} pieces[PIECES_MAX];
static uint32_t count;

static void put(const void *bytes, size_t length)
{
	if (fwrite(bytes, 1, length, stdout) != length)
		err(1, "standard output");
}

static void read_at(int fd, uint8_t *bytes, uint64_t offset, const char *name)
{
	if (pread(fd, bytes, BLOCK, (off_t)offset) != BLOCK)
		err(1, "%s", name);
}

static void note(uint64_t offset)
{
	if (count && pieces[count - 1].offset + pieces[count - 1].length == offset) {
		pieces[count - 1].length += BLOCK;
		return;
	}
	if (count == PIECES_MAX)
		errx(1, "more than %d pieces", PIECES_MAX);
	pieces[count].offset = offset;
	pieces[count++].length = BLOCK;
}

int main(int argc, char **argv)
{
	static const uint8_t zeros[BLOCK];
	uint8_t block[BLOCK];
	int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
	off_t size, data, hole = 0;

	if (fd < 0)
		err(1, "usage: mkseed IMAGE");
	size = lseek(fd, 0, SEEK_END);
	while ((data = lseek(fd, hole, SEEK_DATA)) >= 0) {
		hole = lseek(fd, data, SEEK_HOLE);
		for (off_t at = data & ~(off_t)(BLOCK - 1); at < hole; at += BLOCK) {
			read_at(fd, block, (uint64_t)at, argv[1]);
			if (memcmp(block, zeros, BLOCK))
				note((uint64_t)at);
		}
	}
	if (errno != ENXIO || size % BLOCK)
		err(1, "%s", argv[1]);
	put(&size, sizeof size);
	put(&count, sizeof count);
	for (uint32_t i = 0; i < count; i++) {
		put(&pieces[i].offset, sizeof pieces[i].offset);
		put(&pieces[i].length, sizeof pieces[i].length);
	}
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t done = 0; done < pieces[i].length; done += BLOCK) {
			read_at(fd, block, pieces[i].offset + done, argv[1]);
			put(block, BLOCK);
		}
	if (fflush(stdout))
		err(1, "standard output");
	return 0;
}
