#include "posix.h"

#include <linux/falloc.h>
#include <sys/resource.h>
#include <signal.h>

static uint32_t digest(const char *path)
{
	static unsigned char bytes[1 << 16];
	uint32_t h = 2166136261u;
	int fd = open(path, O_RDONLY);
	ssize_t n;

	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		for (ssize_t i = 0; i < n; i++)
			h = (h ^ bytes[i]) * 16777619u;
	close(fd);
	return h;
}

static void seen(const char *path)
{
	show(path);
	printf("%08x\n", digest(path));
}

void sizes(void)
{
	static char block[10000];
	int fd = open("f", O_CREAT | O_RDWR, 0644);

	for (size_t i = 0; i < sizeof block; i++)
		block[i] = (char)(i * 7 + i / 256);
	T(write(fd, block, sizeof block));
	for (off_t size = 9999; size > 0; size /= 3) {
		T(ftruncate(fd, size));
		T(ftruncate(fd, size + 5000));
		seen("f");
	}
	T(truncate("f", -1));
	T(ftruncate(fd, -1));
	T(pwrite(fd, "far", 3, 5000000));
	seen("f");
	T(fallocate(fd, 0, 0, 6000000));
	seen("f");
	T(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 7000000));
	show("f");
	T(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 4900000));
	seen("f");
	T(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
	T(fallocate(fd, 0, -1, 10));
	T(fallocate(fd, 0, 0, 0));
	T(posix_fallocate(fd, 6000000, 1000));
	show("f");
	T(lseek(fd, 10, SEEK_SET));
	T(lseek(fd, -20, SEEK_CUR));
	T(lseek(fd, 5, SEEK_END));
	T(lseek(fd, 0, 77));
	close(fd);
	fd = open("f", O_RDONLY);
	T(ftruncate(fd, 0));
	T(fallocate(fd, 0, 0, 10));
	close(fd);
	signal(SIGXFSZ, SIG_IGN);
	fflush(stdout);
	DO(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 8192, RLIM_INFINITY }));
	fd = open("limited", O_CREAT | O_RDWR, 0644);
	long first = write(fd, block, 9000), second = write(fd, block, 1), third = ftruncate(fd, 8193);
	int err = errno;
	DO(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }));
	errno = err;
	printf("%ld %ld %ld %s\n", first, second, third, strerror(err));
	close(fd);
}
